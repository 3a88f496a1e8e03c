-- Release jobs that a living daemon holds without knowing of them: its claim was committed, the answer was lost.
-- Index email_jobs_sending, this daemon's range. $1 daemon, $2 the jobs that it knows, $3 at most so many.
WITH unknown AS MATERIALIZED (
    SELECT id FROM mailworkers.email_jobs
    WHERE status = 'sending' AND daemon_id = $1::bigint AND id <> ALL ($2::bigint[])
      AND marked_at IS NULL
    LIMIT $3::integer
    FOR UPDATE SKIP LOCKED
), released AS (
    UPDATE mailworkers.email_jobs AS job
    SET status = CASE WHEN job.attempts > 0 THEN 'retrying' ELSE 'waiting' END,
        lease = NULL, daemon_id = NULL, deadline = NULL
    WHERE job.id = ANY (ARRAY(SELECT id FROM unknown))
    RETURNING job.id
)
SELECT count(*) AS again FROM released
