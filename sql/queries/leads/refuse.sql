-- Rows that became no lead. No index is read.
-- $1 import, $2 lines, $3 addresses as written, $4 reasons.
INSERT INTO mailworkers.lead_import_rejects (import_id, line, email, reason)
SELECT $1::bigint, refused.* FROM unnest($2::bigint[], $3::text[], $4::text[]) AS refused
