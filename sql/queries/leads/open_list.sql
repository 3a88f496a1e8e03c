-- The list of this name, made where there is none. Unique index of lead_lists.
-- $1 workspace, $2 name.
INSERT INTO mailworkers.lead_lists AS list (workspace_id, name) VALUES ($1, $2)
ON CONFLICT (workspace_id, name) DO UPDATE SET name = list.name
RETURNING id
