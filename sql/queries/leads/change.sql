-- Write what a file has over leads that exist; what it has no column for stays. Primary key of leads.
-- $1 workspace, $2 import, $3 ids, $4 names (NULL: the file has none), $5 data as JSON.
UPDATE mailworkers.leads AS lead
SET name = CASE WHEN new.name IS NULL THEN lead.name ELSE nullif(new.name, '') END,
    data = lead.data || new.data::jsonb, import_id = $2::bigint, updated_at = now()
FROM unnest($3::bigint[], $4::text[], $5::text[]) AS new(id, name, data)
WHERE lead.workspace_id = $1::text COLLATE "C" AND lead.id = new.id
RETURNING lead.id
