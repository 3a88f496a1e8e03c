-- A daemon ends its lease itself, when it stops; $1 daemon, $2 why. Primary key of email_daemons.
WITH stopped AS (
    UPDATE mailworkers.email_workers SET state = 'stopped', updated_at = now() WHERE daemon_id = $1::bigint
)
UPDATE mailworkers.email_daemons SET ended_at = now(), ended_why = $2::text
WHERE id = $1::bigint AND ended_at IS NULL
