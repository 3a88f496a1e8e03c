-- How far campaigns are, newest first; mails that were called off are no part of their speed.
-- Primary key, backwards. $1 workspace, or NULL for all; $2 at most so many.
SELECT campaign_id, workspace_id, name, status, expected, looked_at, made, skipped, live, sent, failed, abandoned, cancelled,
    suppressed, unknown, start_at, started_at, finished_at, why,
    mails_per_second * (made - live - cancelled - suppressed) / nullif(made - live, 0) AS mails_per_second, ends_at
FROM mailworkers.campaign_progress
WHERE $1::text IS NULL OR workspace_id = $1::text COLLATE "C"
ORDER BY campaign_id DESC
LIMIT $2::integer
