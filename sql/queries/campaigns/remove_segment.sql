-- Forget a segment; its id, or no row where there is none. Unique index of lead_segments. $1 workspace, $2 name.
DELETE FROM mailworkers.lead_segments WHERE workspace_id = $1::text COLLATE "C" AND name = $2::text COLLATE "C" RETURNING id
