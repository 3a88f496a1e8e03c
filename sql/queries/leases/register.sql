-- Begin a daemon's lease, under the lowest number that no living daemon of the same instance name has: a restarted
-- daemon gets its old number and with it its rate limits. Living: its session lock is held, or it has none and its lease holds
-- by the wall clock: where that was set, two daemons may share a number and its limits, which errs on the slow side.
-- After leases/take_turn, in one transaction. A table of one row a daemon; $1 instance, $2 host, $3 pid, $4 version, $5 lease seconds.
WITH living AS (
    SELECT d.ordinal
    FROM mailworkers.email_daemons AS d
    WHERE d.instance = $1::text AND d.ended_at IS NULL
      AND CASE WHEN d.session_lock THEN EXISTS (
          SELECT FROM pg_locks AS l
          WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.classid = hashtext('mailworkers.daemon')::oid AND l.objid = d.id::integer::oid)
          ELSE d.lease_until > now() END
), free AS (
    SELECT min(candidate) AS ordinal
    FROM generate_series(1, 1000) AS candidate
    WHERE candidate NOT IN (SELECT ordinal FROM living)
)
INSERT INTO mailworkers.email_daemons (lease_until, pid, ordinal, session_lock, instance, host, version)
SELECT now() + $5::float8 * interval '1 second', $3::integer, free.ordinal, false, $1::text, $2::text, $4::text
FROM free
RETURNING id, ordinal
