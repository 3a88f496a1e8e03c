-- Workspaces that have a weight of their own or are paused. All of a table that has no others.
SELECT workspace_id, weight::float8 AS weight, paused_at IS NOT NULL AS paused
FROM mailworkers.workspaces
