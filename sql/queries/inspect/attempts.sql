-- What went wrong with one job, attempt by attempt. Primary key of each month's partition. $1 id.
SELECT created_at, attempt, class, stage, code, enhanced_code, text, next_try_at
FROM mailworkers.email_retry_jobs
WHERE job_id = $1::bigint
ORDER BY created_at DESC, id DESC
LIMIT 100
