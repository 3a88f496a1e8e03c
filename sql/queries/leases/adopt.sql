-- After a lost session: what the process still answers for goes on under its new lease, its old lease ends.
-- Index email_jobs_sending and primary keys. $1 the new daemon, $2 the old one, $3 jobs in flight or unwritten.
WITH adopted AS (
    UPDATE mailworkers.email_jobs SET daemon_id = $1::bigint
    WHERE id = ANY ($3::bigint[]) AND status = 'sending' AND daemon_id = $2::bigint
    RETURNING id
), ended AS (
    UPDATE mailworkers.email_daemons SET ended_at = now(), ended_why = 'its session was lost and made anew'
    WHERE id = $2::bigint AND ended_at IS NULL
)
SELECT count(*) FROM adopted
