-- The newest live jobs, whatever their state. Primary key of email_jobs, backwards, never more than $3 rows of it.
-- $1 workspace, $2 address, $5 campaign, each NULL for any; $3 how many rows to look at, $4 how many to return, $6 below which
-- number. Each row tells how many were looked at and how far down, also where none of them matched.
WITH looked_at AS MATERIALIZED (
    SELECT id, workspace_id, campaign_id, job_type, to_email, subject, status, attempts, last_reply, created_at, scheduled_at
    FROM mailworkers.email_jobs WHERE id < $6::bigint ORDER BY id DESC LIMIT $3::integer
)
SELECT far.*, matching.*
FROM (SELECT count(*) AS seen, min(id) AS down_to FROM looked_at) AS far
LEFT JOIN LATERAL (
    SELECT id AS job_id, workspace_id, campaign_id, job_type, to_email, subject, status, attempts, last_reply AS reply, created_at,
        scheduled_at, NULL::timestamptz AS finished_at
    FROM looked_at
    WHERE ($1::text IS NULL OR workspace_id = $1::text COLLATE "C") AND ($2::text IS NULL OR lower(to_email) = lower($2::text))
      AND ($5::bigint IS NULL OR campaign_id = $5::bigint)
    ORDER BY id DESC
    LIMIT $4::integer
) AS matching ON true
