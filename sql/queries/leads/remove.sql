-- Forget a lead, on every list. Unique index of leads; unique index of lead_lists; primary keys of lead_list_members and leads.
-- $1 address, normalized, $2 workspace.
WITH gone AS (
    DELETE FROM mailworkers.leads WHERE email = $1::text COLLATE "C" AND workspace_id = $2::text COLLATE "POSIX" RETURNING id
), unlisted AS (
    DELETE FROM mailworkers.lead_list_members
    WHERE list_id = ANY (ARRAY(SELECT id FROM mailworkers.lead_lists WHERE workspace_id = $2::text COLLATE "C"))
        AND lead_id = (SELECT id FROM gone)
)
SELECT id FROM gone
