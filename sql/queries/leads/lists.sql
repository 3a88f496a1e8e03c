-- A workspace's lists and how many leads are on each. Unique index of lead_lists; primary key of lead_list_members.
-- $1 workspace.
SELECT list.id AS list_id, list.name, list.created_at, counted.leads
FROM mailworkers.lead_lists AS list,
    LATERAL (SELECT count(*) AS leads FROM mailworkers.lead_list_members AS member WHERE member.list_id = list.id) AS counted
WHERE list.workspace_id = $1::text COLLATE "C"
ORDER BY list.name
