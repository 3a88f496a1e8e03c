-- What holds one campaign beside its own state: its workspace, and the warm-up of its sender where a day's quota is used up or a person
-- is waited for. Primary keys of campaign_sends and workspaces; the unique index on the senders of live warm-ups.
-- $1 id, $2 the sender of campaigns that name none.
WITH its AS (
    SELECT workspace_id, lower(coalesce(from_email, $2::text)) AS sender FROM mailworkers.campaign_sends WHERE id = $1::bigint
), warmed AS (
    SELECT today.*, row_number() OVER (PARTITION BY today.destination_group ORDER BY today.sender LIKE '%@%' DESC) AS place
    FROM its JOIN mailworkers.warm_up_status AS today ON today.sender IN (its.sender, split_part(its.sender, '@', 2))
)
SELECT 'workspace' AS kind, workspace.workspace_id AS subject, coalesce(workspace.why, '') AS why, ''::text AS destination_group,
    0 AS quota, NULL::timestamptz AS until
FROM its JOIN mailworkers.workspaces AS workspace USING (workspace_id)
WHERE workspace.paused_at IS NOT NULL
UNION ALL
SELECT CASE status WHEN 'running' THEN 'quota' ELSE status END, sender, coalesce(why, ''),
    destination_group, quota, next_day_at
FROM warmed
WHERE place = 1 AND (status <> 'running' OR (day <= last_day AND granted >= quota))
