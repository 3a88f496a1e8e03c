-- Workspaces that are treated specially, by name. Primary key of workspaces; $1: at most so many.
SELECT workspace_id, weight::float8 AS weight, paused_at, why
FROM mailworkers.workspaces
ORDER BY workspace_id
LIMIT $1::integer
