-- Whom a campaign goes to: as fixed at its start, else as it would be if it started now. Primary key of campaign_sends, unique indexes of
-- lead_lists and lead_segments. $1 id.
SELECT c.workspace_id, CASE WHEN c.started_at IS NULL THEN aim.list_id ELSE c.list_id END AS list_id,
    CASE WHEN c.started_at IS NULL THEN aim.match ELSE c.match END::text AS match,
    CASE WHEN c.started_at IS NULL THEN NULL ELSE c.last_lead END AS last_lead
FROM mailworkers.campaign_sends AS c
LEFT JOIN LATERAL (
    SELECT * FROM mailworkers.aim_campaign(c.workspace_id, c.list, c.segment, c.filter) WHERE c.started_at IS NULL
) AS aim ON true
WHERE c.id = $1::bigint
