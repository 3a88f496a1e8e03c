-- Workers of the daemons that live: a few rows each. Primary key of email_workers.
SELECT w.daemon_id, w.slot, w.name, w.state, w.sent, w.failed,
    extract(epoch FROM now() - w.connected_at)::float8 AS connected_for,
    extract(epoch FROM now() - d.started_at)::float8 AS daemon_up
FROM mailworkers.email_daemons AS d
JOIN mailworkers.email_workers AS w ON w.daemon_id = d.id
WHERE d.ended_at IS NULL AND w.state <> 'stopped'
ORDER BY d.instance, d.ordinal, w.slot
LIMIT 1000
