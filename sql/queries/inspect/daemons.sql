-- Daemons that live, and those that ended within the hour. A table of one row a daemon, and pg_locks.
WITH held AS MATERIALIZED (
    SELECT objid FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = hashtext('mailworkers.daemon')::oid
), known AS (
    SELECT d.*, ended_at IS NULL AND lease_until > now() AS leased, id::integer::oid IN (SELECT objid FROM held) AS lock_held
    FROM mailworkers.email_daemons AS d
    WHERE ended_at IS NULL OR ended_at > now() - interval '1 hour'
    ORDER BY ended_at DESC NULLS FIRST, instance, ordinal
    LIMIT 100
)
SELECT id, instance, ordinal, host, pid, version, started_at, ended_at, ended_why, session_lock,
    leased AND (lock_held OR NOT session_lock) AS alive,
    extract(epoch FROM now() - renewed_at)::float8 AS renewed_ago,
    extract(epoch FROM now() - started_at)::float8 AS up
FROM known
