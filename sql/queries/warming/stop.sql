-- End a warm-up before its last day. The unique index on the senders of live warm-ups.
SELECT mailworkers.stop_warm_up($1::text, $2::text) AS id
