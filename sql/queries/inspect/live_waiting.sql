-- The newest jobs that were not tried yet. Primary key of email_jobs, backwards, never more than $3 rows of it.
-- $1 workspace or NULL, $2 address or NULL, $3 how many rows to look at, $4 how many to return.
SELECT id AS job_id, workspace_id, campaign_id, job_type, to_email, subject, status, attempts, last_reply AS reply, created_at,
    scheduled_at, NULL::timestamptz AS finished_at
FROM (SELECT * FROM mailworkers.email_jobs ORDER BY id DESC LIMIT $3::integer) AS looked_at
WHERE status = 'waiting' AND ($1::text IS NULL OR workspace_id = $1::text COLLATE "C") AND ($2::text IS NULL OR lower(to_email) = lower($2::text))
ORDER BY id DESC
LIMIT $4::integer
