-- Give a workspace a weight. Primary key of workspaces. $1 workspace, $2 weight.
INSERT INTO mailworkers.workspaces (workspace_id, weight)
VALUES ($1::text, $2::float8)
ON CONFLICT (workspace_id) DO UPDATE SET weight = excluded.weight
RETURNING workspace_id, weight::float8 AS weight, paused_at, why
