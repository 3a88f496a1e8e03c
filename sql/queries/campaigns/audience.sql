-- The next leads that a campaign looks at, in the order of their ids; address, name and data of those only that it would write to.
-- Primary keys of leads and lead_list_members. $1 workspace, $2 list's id or NULL, $3 match or NULL, $4 id to begin behind, $5 last id,
-- $6 how many.
SELECT id, ok, CASE WHEN ok THEN email END AS email, CASE WHEN ok THEN name END AS name, CASE WHEN ok THEN data::text END AS data
FROM (
    (SELECT lead.id, lead.email, lead.name, lead.data,
        lead.status = 'active' AND mailworkers.lead_matches($3::text::jsonpath, lead.email, lead.name, lead.data) AS ok
     FROM mailworkers.leads AS lead
     WHERE $2::bigint IS NULL AND lead.workspace_id = $1::text COLLATE "C" AND lead.id > $4::bigint AND lead.id <= $5::bigint
     ORDER BY lead.workspace_id, lead.id LIMIT $6::integer)
    UNION ALL
    (SELECT member.lead_id, lead.email, lead.name, lead.data,
        coalesce(lead.status = 'active' AND mailworkers.lead_matches($3::text::jsonpath, lead.email, lead.name, lead.data), false)
     FROM (SELECT lead_id FROM mailworkers.lead_list_members
           WHERE $2::bigint IS NOT NULL AND list_id = $2::bigint AND lead_id > $4::bigint AND lead_id <= $5::bigint
           ORDER BY list_id, lead_id LIMIT $6::integer) AS member
     LEFT JOIN mailworkers.leads AS lead ON lead.workspace_id = $1::text COLLATE "C" AND lead.id = member.lead_id
     ORDER BY member.lead_id)
) AS candidate
