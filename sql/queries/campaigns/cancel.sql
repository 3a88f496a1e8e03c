-- $1 campaign. Primary key; daemons do the rest.
SELECT mailworkers.cancel_campaign($1::bigint)
