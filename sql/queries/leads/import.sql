-- One import. Primary key of lead_imports.
-- $1 its number.
SELECT * FROM mailworkers.lead_imports WHERE id = $1::bigint
