-- Schemas that a bench made, by their comment. Index on pg_description's object. $1 the comment.
SELECT nspname AS name
FROM pg_namespace
WHERE nspname LIKE 'mailworkers\_bench\_%' AND obj_description(oid, 'pg_namespace') = $1::text
