-- $1 workspace, $2 name, $3 filter. Unique name in the workspace.
SELECT mailworkers.save_segment($1::text, $2::text, $3::jsonb)
