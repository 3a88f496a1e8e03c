-- End the leases of dead daemons: those that ran out, and those whose session lock was found free twice, $2 seconds apart.
-- A table of one row a daemon, and pg_locks. $1 the leases of the daemon that asks: its
-- own, and those it lost and has not taken over yet.
WITH held AS MATERIALIZED (
    SELECT objid FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = hashtext('mailworkers.daemon')::oid
), others AS MATERIALIZED (
    SELECT id, suspected_at, lease_until < now() AS ran_out,
        session_lock AND id::integer::oid NOT IN (SELECT objid FROM held) AS lock_free
    FROM mailworkers.email_daemons
    WHERE ended_at IS NULL AND id <> ALL ($1::bigint[])
), suspected AS (
    UPDATE mailworkers.email_daemons AS d
    SET suspected_at = CASE WHEN others.lock_free THEN now() END
    FROM others
    WHERE d.id = others.id AND NOT others.ran_out AND d.ended_at IS NULL
      AND others.lock_free = (others.suspected_at IS NULL)
      AND (others.lock_free OR others.suspected_at IS NOT NULL)
)
UPDATE mailworkers.email_daemons AS d
SET ended_at = now(), ended_why = CASE WHEN others.lock_free THEN 'its session was gone' ELSE 'its lease ran out' END
FROM others
WHERE d.id = others.id AND d.ended_at IS NULL
  AND (others.ran_out OR (others.lock_free AND others.suspected_at <= now() - $2::float8 * interval '1 second'))
RETURNING d.id
