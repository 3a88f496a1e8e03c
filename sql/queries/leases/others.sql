-- Daemons whose lease has not ended, but for those in $1: when each renewed last, for how long, and whether the session lock
-- that it should hold is free. Index email_daemons_ended, and pg_locks.
WITH held AS MATERIALIZED (
    SELECT objid FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = hashtext('mailworkers.daemon')::oid
)
SELECT id, renewed_at, extract(epoch FROM lease_until - renewed_at)::float8 AS lease_seconds,
    session_lock AND id::integer::oid NOT IN (SELECT objid FROM held) AS lock_free
FROM mailworkers.email_daemons
WHERE ended_at IS NULL AND id <> ALL ($1::bigint[])
