-- Begin to warm a sender up. Primary keys, and the unique index on the senders of live warm-ups.
SELECT mailworkers.start_warm_up($1::text, $2::text, $3::text, $4::date, $5::real, $6::integer, $7::boolean) AS id
