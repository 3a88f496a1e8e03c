-- Let a paused workspace go on; no row where it was not paused. Primary key of workspaces. $1 workspace.
UPDATE mailworkers.workspaces SET paused_at = NULL, why = NULL
WHERE workspace_id = $1::text COLLATE "C" AND paused_at IS NOT NULL
RETURNING workspace_id, weight::float8 AS weight, paused_at, why
