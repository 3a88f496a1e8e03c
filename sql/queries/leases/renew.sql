-- Renew the daemon's lease and write its workers' rows, in one statement. No row returned: the lease has ended.
-- Primary keys. $1 daemon, $2 lease seconds, $3 slots, $4 names, $5 states, $6 sent, $7 failed, $8 seconds since connecting.
WITH renewed AS (
    UPDATE mailworkers.email_daemons
    SET renewed_at = now(), lease_until = now() + $2::float8 * interval '1 second'
    WHERE id = $1::bigint AND ended_at IS NULL
    RETURNING id
), seen AS (
    INSERT INTO mailworkers.email_workers AS w (daemon_id, slot, name, state, sent, failed, connected_at)
    SELECT renewed.id, one.slot, one.name, one.state, one.sent, one.failed,
        now() - one.connected_for * interval '1 second'
    FROM renewed, unnest($3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::float8[])
        AS one(slot, name, state, sent, failed, connected_for)
    ON CONFLICT (daemon_id, slot) DO UPDATE SET state = excluded.state, sent = excluded.sent, failed = excluded.failed,
        connected_at = excluded.connected_at, updated_at = now()
), gone AS (
    UPDATE mailworkers.email_workers SET state = 'stopped', connected_at = NULL, updated_at = now()
    WHERE daemon_id = $1::bigint AND slot <> ALL ($3::smallint[]) AND state <> 'stopped'
)
SELECT id FROM renewed
