-- Pause a workspace; one that is paused stays so since when it was. Primary key of workspaces. $1 workspace, $2 why or NULL.
INSERT INTO mailworkers.workspaces AS known (workspace_id, paused_at, why)
VALUES ($1::text, now(), $2::text)
ON CONFLICT (workspace_id) DO UPDATE SET paused_at = coalesce(known.paused_at, excluded.paused_at), why = coalesce(excluded.why, known.why)
RETURNING workspace_id, weight::float8 AS weight, paused_at, why
