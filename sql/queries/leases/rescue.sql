-- Take back what ended daemons still hold: run it again, or park as unknown what was marked to go at most once. A job that
-- saw $1 daemons die is abandoned: it may be what kills them.
-- Index email_jobs_sending, one descent for each daemon that ended and is not forgotten yet; $2 at most so many of each.
WITH orphans AS MATERIALIZED (
    SELECT held.id,
        CASE WHEN held.delivery = 'at_most_once' AND held.marked_at IS NOT NULL THEN 'unknown'
             WHEN held.rescues + 1 >= $1::integer THEN 'abandoned' END AS ended
    FROM mailworkers.email_daemons AS d
    CROSS JOIN LATERAL (
        SELECT id, delivery, marked_at, rescues FROM mailworkers.email_jobs
        WHERE status = 'sending' AND daemon_id = d.id
        LIMIT $2::integer
        FOR UPDATE SKIP LOCKED
    ) AS held
    WHERE d.ended_at IS NOT NULL
), parked AS (
    DELETE FROM mailworkers.email_jobs AS job
    USING orphans
    WHERE job.id = orphans.id AND job.id = ANY (ARRAY(SELECT id FROM orphans)) AND orphans.ended IS NOT NULL
    RETURNING job.*, orphans.ended, to_jsonb(job) AS content
), kept AS (
    INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type,
        status, to_email, subject, reply, content)
    SELECT id, campaign_id, created_at, scheduled_at, attempts + 1, workspace_id, job_type, ended, to_email, subject,
        CASE ended WHEN 'unknown' THEN 'its daemon died after the mail had been begun: it may have been sent'
                   ELSE 'its daemon died each time that it was tried' END, content
    FROM parked
), again AS (
    UPDATE mailworkers.email_jobs AS job
    SET status = CASE WHEN job.attempts > 0 THEN 'retrying' ELSE 'waiting' END, rescues = job.rescues + 1,
        lease = NULL, daemon_id = NULL, deadline = NULL, marked_at = NULL
    FROM orphans
    WHERE job.id = orphans.id AND job.id = ANY (ARRAY(SELECT id FROM orphans)) AND orphans.ended IS NULL
    RETURNING job.id
)
SELECT (SELECT count(*) FROM again) AS again, (SELECT count(*) FROM parked) AS parked
