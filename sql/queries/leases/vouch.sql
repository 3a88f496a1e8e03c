-- From now on others may judge this daemon by its session lock. Primary key of email_daemons; $1 daemon.
UPDATE mailworkers.email_daemons SET session_lock = true WHERE id = $1::bigint AND ended_at IS NULL RETURNING id
