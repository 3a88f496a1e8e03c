-- An import stops before its end, by request; listeners are told. Primary key of lead_imports.
-- $1 import.
UPDATE mailworkers.lead_imports SET status = 'interrupted'
WHERE id = $1::bigint AND status = 'running'
RETURNING pg_notify('mailworkers' || '_progress', jsonb_build_object('kind', 'import', 'id', id, 'workspace', workspace_id,
    'status', status, 'done', rows, 'accepted', accepted, 'updated', updated, 'kept', kept, 'duplicates', duplicates,
    'refused', refused)::text)
