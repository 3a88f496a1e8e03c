-- A new import. No index is read.
-- $1 workspace, $2 fingerprint, $3 list or NULL, $4 on_existing, $5 mapping as JSON, $6 the list's id or NULL, $7 source,
-- $8 bytes or NULL.
INSERT INTO mailworkers.lead_imports (workspace_id, fingerprint, list, on_existing, mapping, list_id, source, bytes_total)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8)
RETURNING *
