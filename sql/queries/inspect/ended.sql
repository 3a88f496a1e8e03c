-- The newest jobs that came to an end. Primary key of each month's partition, backwards, never more than $3 rows of it.
-- $1 workspace or NULL, $2 address or NULL, $3 how many rows to look at, $4 how many to return, $5 status or NULL.
SELECT job_id, workspace_id, campaign_id, job_type, to_email, subject, status, attempts, reply, created_at, scheduled_at, finished_at
FROM (SELECT * FROM mailworkers.email_sends ORDER BY job_id DESC LIMIT $3::integer) AS looked_at
WHERE ($1::text IS NULL OR workspace_id = $1::text COLLATE "C") AND ($2::text IS NULL OR lower(to_email) = lower($2::text))
  AND ($5::text IS NULL OR status = $5::text)
ORDER BY job_id DESC
LIMIT $4::integer
