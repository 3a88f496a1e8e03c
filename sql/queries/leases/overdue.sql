-- Jobs past their deadline by the wall clock, though their daemon lives: which, and under which lease.
-- Index email_jobs_sending, one range for each living daemon; $1 at most so many of each.
SELECT held.id, held.lease
FROM mailworkers.email_daemons AS d
CROSS JOIN LATERAL (
    SELECT id, lease FROM mailworkers.email_jobs
    WHERE status = 'sending' AND daemon_id = d.id AND deadline < now()
    LIMIT $1::integer
) AS held
WHERE d.ended_at IS NULL
