-- Campaigns under way, those that send first; never more than $1, each with its counts. Index campaign_sends_open, primary key of
-- progress_tracking.
SELECT progress.campaign_id, progress.workspace_id, progress.name, progress.status, progress.expected, progress.made, progress.sent,
    progress.made - progress.live AS done, progress.start_at, progress.mails_per_second, progress.ends_at, progress.why
FROM (
    SELECT id, status FROM mailworkers.campaign_sends
    WHERE status IN ('scheduled', 'running', 'paused', 'cancelling', 'stopped')
    ORDER BY id DESC LIMIT $1::integer
) AS open_one
JOIN mailworkers.campaign_progress AS progress ON progress.campaign_id = open_one.id
ORDER BY array_position('{running,cancelling,stopped,paused,scheduled}'::text[], open_one.status), open_one.id DESC
