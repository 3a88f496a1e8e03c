-- Group commit of everything that was not sent: an end goes to the history with the job kept in `content`, another try
-- is scheduled, and each spent or final attempt leaves its row in email_retry_jobs. Each only under its own lease.
-- A class without a spent attempt means that the relay put the mail off: put_off_since keeps when that began. The class 'ours'
-- means that the mail waits by our own choice, and forgets it.
-- Primary key of email_jobs. $1 ids, $2 leases, $3 ends (NULL = try again), $4 seconds until the next try, $5 whether an
-- attempt is spent, $6 classes, $7 stages, $8 codes, $9 enhanced codes, $10 texts, $11 Message-IDs, $12 daemon.
WITH results AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[], $5::boolean[], $6::text[], $7::text[],
            $8::smallint[], $9::text[], $10::text[], $11::text[])
        AS r(id, lease, ended, delay, spent, class, stage, code, enhanced_code, text, message_id)
), ended AS (
    DELETE FROM mailworkers.email_jobs AS job
    USING results
    WHERE job.id = results.id AND job.lease = results.lease AND results.ended IS NOT NULL
    RETURNING job.*, results.ended, results.spent, results.class, results.stage, results.code, results.enhanced_code,
        results.text, results.message_id, to_jsonb(job) AS content
), kept AS (
    INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, reply_code, workspace_id,
        job_type, status, to_email, subject, message_id, enhanced_code, reply, content)
    SELECT id, campaign_id, created_at, scheduled_at, attempts + spent::integer, code, workspace_id,
        job_type, ended, to_email, subject, message_id, enhanced_code, text, content
    FROM ended
), again AS (
    UPDATE mailworkers.email_jobs AS job
    SET status = CASE WHEN job.attempts + results.spent::integer > 0 THEN 'retrying' ELSE 'waiting' END,
        attempts = job.attempts + results.spent::integer,
        scheduled_at = CASE WHEN results.delay > 0 THEN now() + results.delay * interval '1 second' ELSE job.scheduled_at END,
        lease = NULL, daemon_id = NULL, deadline = NULL, marked_at = NULL,
        last_reply = coalesce(results.text, job.last_reply),
        put_off_since = CASE WHEN results.spent OR results.class = 'ours' THEN NULL
                             WHEN results.class IS NOT NULL THEN coalesce(job.put_off_since, now())
                             ELSE job.put_off_since END
    FROM results
    WHERE job.id = results.id AND job.lease = results.lease AND results.ended IS NULL
    RETURNING job.id, job.workspace_id, job.attempts, job.scheduled_at, results.spent, results.class, results.stage,
        results.code, results.enhanced_code, results.text
), noted AS (
    INSERT INTO mailworkers.email_retry_jobs (job_id, next_try_at, attempt, code, workspace_id, class, stage, enhanced_code, text)
    SELECT id, NULL, attempts + spent::integer, code, workspace_id, class, stage, enhanced_code, text
    FROM ended WHERE class IS NOT NULL
    UNION ALL
    SELECT id, scheduled_at, attempts, code, workspace_id, class, stage, enhanced_code, text
    FROM again WHERE spent
), counted AS (
    INSERT INTO mailworkers.worker_metrics AS m (minute, daemon_id, failed, abandoned, unknown, retried, snoozed)
    SELECT date_trunc('minute', now()), $12::bigint, n.failed, n.abandoned, n.unknown, n.retried, n.snoozed
    FROM (SELECT
        (SELECT count(*) FROM ended WHERE ended.ended = 'failed') AS failed,
        (SELECT count(*) FROM ended WHERE ended.ended = 'abandoned') AS abandoned,
        (SELECT count(*) FROM ended WHERE ended.ended = 'unknown') AS unknown,
        (SELECT count(*) FROM again WHERE spent) AS retried,
        (SELECT count(*) FROM again WHERE NOT spent AND text IS NOT NULL AND class IS DISTINCT FROM 'ours') AS snoozed) AS n
    WHERE n.failed + n.abandoned + n.unknown + n.retried + n.snoozed > 0
    ON CONFLICT (minute, daemon_id) DO UPDATE SET failed = m.failed + excluded.failed,
        abandoned = m.abandoned + excluded.abandoned, unknown = m.unknown + excluded.unknown,
        retried = m.retried + excluded.retried, snoozed = m.snoozed + excluded.snoozed
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, failed, abandoned, unknown)
    SELECT 'campaign', campaign_id, $12::bigint, count(*), count(*) FILTER (WHERE ended = 'failed'),
        count(*) FILTER (WHERE ended = 'abandoned'), count(*) FILTER (WHERE ended = 'unknown')
    FROM ended WHERE lead_id IS NOT NULL GROUP BY campaign_id
    ON CONFLICT (kind, subject_id, part) DO UPDATE SET done = p.done + excluded.done, failed = p.failed + excluded.failed,
        abandoned = p.abandoned + excluded.abandoned, unknown = p.unknown + excluded.unknown, updated_at = now()
)
SELECT (SELECT count(*) FROM ended) + (SELECT count(*) FROM again)
