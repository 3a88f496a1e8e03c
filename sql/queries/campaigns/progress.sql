-- How far one campaign is; mails that were called off are no part of its speed.
-- Primary keys of campaign_sends and of its parts in progress_tracking. $1 campaign.
SELECT campaign_id, workspace_id, name, status, expected, looked_at, made, skipped, live, sent, failed, abandoned, cancelled,
    suppressed, unknown, start_at, started_at, finished_at, why,
    mails_per_second * (made - live - cancelled - suppressed) / nullif(made - live, 0) AS mails_per_second, ends_at
FROM mailworkers.campaign_progress
WHERE campaign_id = $1::bigint
