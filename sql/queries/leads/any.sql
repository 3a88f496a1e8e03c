-- Whether the workspace has a lead. Primary key of leads.
-- $1 workspace.
SELECT EXISTS (SELECT FROM mailworkers.leads WHERE workspace_id = $1::text COLLATE "C") AS found
