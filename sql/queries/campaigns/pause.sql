-- $1 campaign. Primary key.
SELECT mailworkers.pause_campaign($1::bigint)
