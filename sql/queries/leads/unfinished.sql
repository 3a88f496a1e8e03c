-- The newest import of the same text in the same way that has not come to its end. Index lead_imports_unfinished.
-- $1 workspace, $2 fingerprint, $3 list or NULL, $4 on_existing, $5 mapping as JSON.
SELECT * FROM mailworkers.lead_imports
WHERE workspace_id = $1::text COLLATE "C" AND fingerprint = $2::text COLLATE "C" AND status <> 'finished'
    AND list IS NOT DISTINCT FROM $3::text AND on_existing = $4 AND mapping = $5::jsonb
ORDER BY id DESC
LIMIT 1
