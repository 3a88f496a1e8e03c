-- Campaigns that may have work to be done, and how many of their mails live. Indexes campaign_sends_open and
-- campaign_sends_scheduled; primary key of progress_tracking.
SELECT c.id, c.status, c.held, coalesce(c.next_lead >= c.last_lead, true) AS at_end, c.expected IS NULL AS uncounted,
    c.job_window, c.made - p.done AS live
FROM mailworkers.campaign_sends AS c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(done), 0)::bigint AS done FROM mailworkers.progress_tracking
    WHERE kind = 'campaign' AND subject_id = c.id
) AS p
WHERE c.status IN ('running', 'paused', 'cancelling', 'stopped')
UNION ALL
SELECT id, status, held, false, false, NULL, 0 FROM mailworkers.campaign_sends
WHERE status = 'scheduled' AND start_at <= now()
