-- Which of these addresses the workspace has, and which import wrote each last. Unique index of leads, by address: the
-- workspace is compared in that index's collation, since the primary key's would tempt a planner without statistics.
-- $1 addresses, with blanks between them, $2 workspace.
SELECT id, import_id, email FROM mailworkers.leads
WHERE email = ANY (string_to_array($1::text, ' ')) AND workspace_id = $2::text COLLATE "POSIX"
