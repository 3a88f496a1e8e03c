-- Partitions for this month and the next $1, of both histories, and for this month's campaigns. Catalogue only.
SELECT mailworkers.make_partitions('email_sends', $1::integer) + mailworkers.make_partitions('email_retry_jobs', $1::integer)
    + mailworkers.make_campaign_partition()::integer
