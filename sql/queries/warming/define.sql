-- Define a schedule, or change one of one's own; the number of its days. Primary keys.
SELECT mailworkers.define_warm_up_schedule($1::text, $2::jsonb, $3::text, $4::text) AS days
