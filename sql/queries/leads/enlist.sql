-- Put leads that exist on a list, where they are not yet. Primary key of lead_list_members.
-- $1 list, $2 ids.
INSERT INTO mailworkers.lead_list_members (list_id, lead_id)
SELECT $1::bigint, id FROM unnest($2::bigint[]) AS id
ON CONFLICT DO NOTHING
