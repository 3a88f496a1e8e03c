-- Which of next month's partitions are missing. Catalogs only.
SELECT part
FROM (
    SELECT parent || '_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM') AS part
    FROM unnest(ARRAY['email_sends', 'email_retry_jobs']) AS wanted(parent)
) AS next_month
WHERE to_regclass('mailworkers.' || part) IS NULL
