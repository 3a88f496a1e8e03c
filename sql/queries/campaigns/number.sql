-- The number of the campaign that has this name. Unique name in the workspace. $1 workspace, $2 name.
SELECT id FROM mailworkers.campaign_sends WHERE workspace_id = $1::text COLLATE "C" AND name = $2::text COLLATE "C"
