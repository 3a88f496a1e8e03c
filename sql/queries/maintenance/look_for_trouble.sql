-- What slows a queue from outside: a transaction that holds vacuum back, and history rows that no month's partition took.
-- pg_stat_activity and the first row of the default partitions.
SELECT
    (SELECT count(*) FROM (SELECT FROM mailworkers.email_sends_default LIMIT 1) AS s)
        + (SELECT count(*) FROM (SELECT FROM mailworkers.email_retry_jobs_default LIMIT 1) AS r) AS strays,
    oldest.pid, oldest.application_name, oldest.seconds
FROM (SELECT) AS always
LEFT JOIN LATERAL (
    SELECT pid, application_name, extract(epoch FROM now() - xact_start)::float8 AS seconds
    FROM pg_stat_activity
    WHERE backend_xmin IS NOT NULL AND xact_start < now() - $1::float8 * interval '1 second' AND pid <> pg_backend_pid()
    ORDER BY xact_start
    LIMIT 1
) AS oldest ON true
