-- $1 campaign, $2 when, or NULL for now. Primary keys.
SELECT mailworkers.start_campaign($1::bigint, $2::timestamptz)
