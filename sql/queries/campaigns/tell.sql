-- Tell listeners what has changed of campaigns since they were told, of each not before 0.25 s have passed, whichever daemon told it.
-- Where very many run, those that were told longest ago come first, $1 at most. Indexes campaign_sends_open and
-- campaign_sends_finished; primary keys of campaign_sends and progress_tracking.
WITH known AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, told_at FROM mailworkers.campaign_sends WHERE status IN ('running', 'paused', 'cancelling', 'stopped')
        UNION ALL
        SELECT id, told_at FROM mailworkers.campaign_sends WHERE finished_at > now() - interval '1 minute'
    ) AS recent
    WHERE told_at < now() - interval '0.25 s'
    ORDER BY told_at
    LIMIT $1::integer
), news AS MATERIALIZED (
    SELECT c.id, jsonb_build_object('kind', 'campaign', 'id', c.id, 'workspace', c.workspace_id, 'status', c.status,
        'expected', c.expected, 'made', c.made, 'live', p.live, 'sent', p.sent, 'failed', p.failed, 'abandoned', p.abandoned,
        'cancelled', p.cancelled, 'suppressed', p.suppressed, 'unknown', p.unknown)::text AS text
    FROM known
    CROSS JOIN LATERAL (
        SELECT id, workspace_id, status, expected, made FROM mailworkers.campaign_sends
        WHERE id = known.id AND told_at < now() - interval '0.25 s'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS c
    CROSS JOIN LATERAL (
        SELECT live, sent, failed, abandoned, cancelled, suppressed, unknown FROM mailworkers.campaign_progress
        WHERE campaign_id = c.id
    ) AS p
)
UPDATE mailworkers.campaign_sends AS c
SET told = news.text, told_at = now()
FROM news
WHERE c.id = news.id AND c.told <> news.text
RETURNING pg_notify('mailworkers' || '_progress', news.text)
