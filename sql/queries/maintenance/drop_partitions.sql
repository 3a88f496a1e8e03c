-- Retention: whole months that ended more than $1 months ago are dropped, of campaigns those of which all have ended. Catalogue only.
SELECT mailworkers.drop_partitions('email_sends', $1::integer) + mailworkers.drop_partitions('email_retry_jobs', $1::integer)
    + mailworkers.drop_campaigns($1::integer)
