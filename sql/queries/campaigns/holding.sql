-- What holds one campaign or slows it, beside its own state: its workspace; the warm-up of its sender where a day's quota is used up or
-- a person is waited for; what its relay takes of its lanes, or takes at all, at most 20 of these. Primary keys of campaign_sends,
-- workspaces and learned_rates; the unique index on the senders of live warm-ups.
-- $1 id, $2 the sender of campaigns that name none, $3 seconds for which daemons may have said nothing of a rate that is in force.
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
UNION ALL
(SELECT 'rate', substr(rate.name, length(its.workspace_id) + 2), min(rate.reason), rate.scope, round(sum(rate.rate))::bigint, max(rate.rests_until)
 FROM its JOIN mailworkers.learned_rates AS rate
   ON rate.scope = 'lane' AND rate.name >= its.workspace_id || '/' AND rate.name < its.workspace_id || '0'
   AND strpos(substr(rate.name, length(its.workspace_id) + 2), '/') = 0  -- else it is a lane of a workspace with a longer name
 WHERE rate.updated_at > now() - make_interval(secs => $3::float8)
 GROUP BY rate.name, rate.scope, its.workspace_id ORDER BY rate.name LIMIT 20)
UNION ALL
SELECT 'rate', rate.name, min(rate.reason), rate.scope, round(sum(rate.rate))::bigint, max(rate.rests_until)
FROM mailworkers.learned_rates AS rate
WHERE rate.scope = 'provider' AND rate.updated_at > now() - make_interval(secs => $3::float8)
GROUP BY rate.name, rate.scope
