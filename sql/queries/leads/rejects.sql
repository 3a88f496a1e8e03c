-- A portion of an import's refused rows, in the file's order. Primary key of lead_import_rejects.
-- $1 import, $2 after this line, $3 at most so many.
SELECT line, email, reason FROM mailworkers.lead_import_rejects
WHERE import_id = $1::bigint AND line > $2::bigint
ORDER BY line
LIMIT $3::integer
