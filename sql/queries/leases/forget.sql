-- Rows of daemons and workers that ended more than a week ago and hold no job. Index email_daemons_ended.
WITH old AS (
    DELETE FROM mailworkers.email_daemons AS d
    WHERE d.ended_at < now() - interval '7 days'
      AND NOT EXISTS (SELECT FROM mailworkers.email_jobs WHERE status = 'sending' AND daemon_id = d.id)
    RETURNING id
)
DELETE FROM mailworkers.email_workers WHERE daemon_id IN (SELECT id FROM old)
