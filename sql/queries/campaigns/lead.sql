-- One lead by its id, and whether a campaign would write to it. Primary keys of leads and lead_list_members. $1 workspace, $2 id,
-- $3 list's id or NULL, $4 match or NULL.
SELECT id, email, name, data::text AS data, status,
    $3::bigint IS NULL OR EXISTS (
        SELECT FROM mailworkers.lead_list_members WHERE list_id = $3::bigint AND lead_id = lead.id) AS listed,
    mailworkers.lead_matches($4::text::jsonpath, email, name, data) AS matches
FROM mailworkers.leads AS lead
WHERE workspace_id = $1::text COLLATE "C" AND id = $2::bigint
