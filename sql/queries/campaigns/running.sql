-- Campaigns under way, those that send first: of the newest 1,000 that are open, never more than $1, each with its counts. Index
-- campaign_sends_open, primary key of progress_tracking.
SELECT progress.campaign_id, progress.workspace_id AS workspace, progress.name, progress.status, progress.expected, progress.sent,
    progress.made - progress.live AS done, progress.live, progress.start_at,
    progress.mails_per_second * (progress.made - progress.live - progress.cancelled - progress.suppressed)
        / nullif(progress.made - progress.live, 0) AS mails_per_second,
    progress.ends_at, progress.why
FROM (
    SELECT * FROM (
        SELECT id, array_position('{running,cancelling,stopped,paused,scheduled}'::text[], status) AS place
        FROM mailworkers.campaign_sends
        WHERE status IN ('scheduled', 'running', 'paused', 'cancelling', 'stopped')
        ORDER BY id DESC LIMIT 1000
    ) AS newest
    ORDER BY place, id DESC LIMIT $1::integer
) AS open_one
JOIN mailworkers.campaign_progress AS progress ON progress.campaign_id = open_one.id
ORDER BY open_one.place, open_one.id DESC
