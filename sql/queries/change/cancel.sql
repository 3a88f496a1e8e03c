-- A job that is not being sent ends here, kept whole so that it can be brought back. Primary key of email_jobs; the state is
-- the fence: a claim that is faster wins. $1 id, $2 why.
WITH gone AS (
    DELETE FROM mailworkers.email_jobs AS job
    WHERE id = $1::bigint AND status IN ('waiting', 'retrying', 'paused')
    RETURNING job.*, to_jsonb(job) AS content
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, cancelled)
    SELECT 'campaign', campaign_id, 0, 1, 1 FROM gone WHERE lead_id IS NOT NULL
    ON CONFLICT (kind, subject_id, part) DO UPDATE
        SET done = p.done + excluded.done, cancelled = p.cancelled + excluded.cancelled, updated_at = now()
)
INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, status,
    to_email, subject, reply, content)
SELECT id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, 'cancelled', to_email, subject, $2::text, content
FROM gone
RETURNING job_id
