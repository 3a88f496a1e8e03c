-- An import stops before its end, by request. Primary key of lead_imports.
-- $1 import.
UPDATE mailworkers.lead_imports SET status = 'interrupted'
WHERE id = $1::bigint AND status = 'running'
