-- A workspace's segments. Unique index of lead_segments. $1 workspace.
SELECT id AS segment_id, name, filter, created_at, updated_at FROM mailworkers.lead_segments
WHERE workspace_id = $1::text COLLATE "C"
ORDER BY name
