-- One lead, with the lists that it is on. Unique index of leads; unique index of lead_lists; primary key of lead_list_members.
-- $1 address, normalized, $2 workspace.
SELECT lead.id, lead.workspace_id, lead.email, lead.name, lead.status, lead.data, lead.import_id, lead.created_at, lead.updated_at,
    ARRAY(
        SELECT list.name FROM mailworkers.lead_lists AS list
        WHERE list.workspace_id = lead.workspace_id AND EXISTS (
            SELECT FROM mailworkers.lead_list_members AS member WHERE member.list_id = list.id AND member.lead_id = lead.id
        )
        ORDER BY list.name
    ) AS lists
FROM mailworkers.leads AS lead
WHERE lead.email = $1::text COLLATE "C" AND lead.workspace_id = $2::text COLLATE "POSIX"
