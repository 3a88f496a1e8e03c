-- Group commit: move sent jobs to the history, each only under the lease that sent it, and count them for the minute.
-- Primary key of email_jobs. $1 ids, $2 leases, $3 Message-IDs, $4 codes, $5 enhanced codes, $6 replies, $7 refused
-- recipients (JSON or NULL), $8 daemon. Primary key of progress_tracking: mails of campaigns are counted in this daemon's part.
WITH results AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[])
        AS r(id, lease, message_id, reply_code, enhanced_code, reply, refused)
), done AS (
    DELETE FROM mailworkers.email_jobs AS job
    USING results
    WHERE job.id = results.id AND job.lease = results.lease
    RETURNING job.id, job.lead_id, job.campaign_id, job.created_at, job.scheduled_at, job.attempts, job.workspace_id, job.job_type,
        job.to_email, job.subject, results.message_id, results.reply_code, results.enhanced_code, results.reply,
        results.refused
), kept AS (
    INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, reply_code, workspace_id,
        job_type, status, to_email, subject, message_id, enhanced_code, reply, refused)
    SELECT id, campaign_id, created_at, scheduled_at, attempts + 1, reply_code, workspace_id,
        job_type, 'sent', to_email, subject, message_id, enhanced_code, reply, refused::jsonb
    FROM done
), counted AS (
    INSERT INTO mailworkers.worker_metrics AS m (minute, daemon_id, sent)
    SELECT date_trunc('minute', now()), $8::bigint, count(*) FROM done HAVING count(*) > 0
    ON CONFLICT (minute, daemon_id) DO UPDATE SET sent = m.sent + excluded.sent
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, sent)
    SELECT 'campaign', campaign_id, $8::bigint, count(*), count(*)
    FROM done WHERE lead_id IS NOT NULL GROUP BY campaign_id
    ON CONFLICT (kind, subject_id, part) DO UPDATE
        SET done = p.done + excluded.done, sent = p.sent + excluded.sent, updated_at = now()
)
SELECT count(*) FROM done
