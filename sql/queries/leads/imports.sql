-- The newest imports. Primary key of lead_imports, backwards, never more than $2 rows of it.
-- $1 workspace or NULL, $2 how many rows to look at, $3 how many to return.
SELECT * FROM (SELECT * FROM mailworkers.lead_imports ORDER BY id DESC LIMIT $2::integer) AS looked_at
WHERE $1::text IS NULL OR workspace_id = $1::text COLLATE "C"
ORDER BY id DESC
LIMIT $3::integer
