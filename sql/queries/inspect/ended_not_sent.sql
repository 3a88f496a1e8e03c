-- The latest jobs that were not sent. Index email_sends_not_sent of each month's partition, backwards, never more than $3
-- rows of it.
-- $1 workspace, $2 address, $5 campaign, $7 status, each NULL for any; $3 how many rows to look at, $4 how many to return, $6 until
-- when. Each row tells how many were looked at and how far down, also where none of them matched.
WITH looked_at AS MATERIALIZED (
    SELECT job_id, workspace_id, campaign_id, job_type, to_email, subject, status, attempts, reply, created_at, scheduled_at, finished_at
    FROM mailworkers.email_sends WHERE status <> 'sent' AND finished_at <= $6::timestamptz ORDER BY finished_at DESC LIMIT $3::integer
)
SELECT far.*, matching.*
FROM (SELECT count(*) AS seen, min(finished_at) AS down_to FROM looked_at) AS far
LEFT JOIN LATERAL (
    SELECT job_id, workspace_id, campaign_id, job_type, to_email, subject, status, attempts, reply, created_at, scheduled_at, finished_at
    FROM looked_at
    WHERE ($1::text IS NULL OR workspace_id = $1::text COLLATE "C") AND ($2::text IS NULL OR lower(to_email) = lower($2::text))
      AND ($5::bigint IS NULL OR campaign_id = $5::bigint) AND ($7::text IS NULL OR status = $7::text)
    ORDER BY job_id DESC
    LIMIT $4::integer
) AS matching ON true
