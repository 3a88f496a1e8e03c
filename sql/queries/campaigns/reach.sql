-- Ids of the first and the last lead of a workspace, or of a list where one is given; NULL where there is none. Primary keys of leads
-- and lead_list_members, one descent each. $1 workspace, $2 list's id or NULL.
SELECT
    CASE WHEN $2::bigint IS NULL
         THEN (SELECT id FROM mailworkers.leads WHERE workspace_id = $1::text COLLATE "C" ORDER BY workspace_id, id LIMIT 1)
         ELSE (SELECT lead_id FROM mailworkers.lead_list_members WHERE list_id = $2::bigint ORDER BY list_id, lead_id LIMIT 1)
    END AS first,
    CASE WHEN $2::bigint IS NULL
         THEN (SELECT id FROM mailworkers.leads WHERE workspace_id = $1::text COLLATE "C" ORDER BY workspace_id DESC, id DESC LIMIT 1)
         ELSE (SELECT lead_id FROM mailworkers.lead_list_members WHERE list_id = $2::bigint ORDER BY list_id DESC, lead_id DESC LIMIT 1)
    END AS last
