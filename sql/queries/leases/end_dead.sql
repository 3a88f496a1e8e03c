-- End leases of dead daemons, unless they have been renewed since they were looked at. Primary key of email_daemons.
-- $1 daemons, $2 when each had renewed last, $3 why.
UPDATE mailworkers.email_daemons AS d
SET ended_at = now(), ended_why = dead.why
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS dead(id, renewed_at, why)
WHERE d.id = dead.id AND d.ended_at IS NULL AND d.renewed_at = dead.renewed_at
RETURNING d.id
