-- Give up attempts that outlived their deadline, even where their daemon still renews its lease. Spends an attempt.
-- Primary key. $1 seconds until the next try, $2 jobs, $3 the lease of each.
-- The Message-ID is the one that every attempt had: made of the row's token and the sender's domain, $4 where the row names no
-- sender; an internationalized domain has another form in it, which is not known here.
WITH overdue AS MATERIALIZED (
    SELECT held.id, held.daemon_id,
        CASE WHEN held.delivery = 'at_most_once' AND held.marked_at IS NOT NULL THEN 'unknown'
             WHEN held.attempts >= held.max_retries THEN 'abandoned' END AS ended
    FROM unnest($2::bigint[], $3::bigint[]) AS one(id, lease)
    CROSS JOIN LATERAL (
        SELECT id, daemon_id, delivery, marked_at, attempts, max_retries FROM mailworkers.email_jobs
        WHERE id = one.id AND lease = one.lease
        FOR UPDATE SKIP LOCKED
    ) AS held
), parked AS (
    DELETE FROM mailworkers.email_jobs AS job
    USING overdue
    WHERE job.id = overdue.id AND job.id = ANY (ARRAY(SELECT id FROM overdue)) AND overdue.ended IS NOT NULL
    RETURNING job.*, overdue.ended, to_jsonb(job) AS content
), kept AS (
    INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type,
        status, to_email, subject, message_id, reply, content)
    SELECT id, campaign_id, created_at, scheduled_at, attempts + 1, workspace_id, job_type, ended, to_email, subject,
        CASE WHEN job_type = 'send-email' AND octet_length(sender.domain) = length(sender.domain)
             THEN replace(message_token::text, '-', '') || '@' || nullif(sender.domain, '') END,
        'the attempt outlived its deadline', content
    FROM parked
    CROSS JOIN LATERAL (
        SELECT CASE WHEN from_email <> '' THEN split_part(from_email, '@', 2) ELSE $4::text END AS domain
    ) AS sender
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, abandoned, unknown)
    SELECT 'campaign', campaign_id, 0, count(*), count(*) FILTER (WHERE ended = 'abandoned'),
        count(*) FILTER (WHERE ended = 'unknown')
    FROM parked WHERE lead_id IS NOT NULL GROUP BY campaign_id ORDER BY campaign_id
    ON CONFLICT (kind, subject_id, part) DO UPDATE SET done = p.done + excluded.done,
        abandoned = p.abandoned + excluded.abandoned, unknown = p.unknown + excluded.unknown, updated_at = now()
), again AS (
    UPDATE mailworkers.email_jobs AS job
    SET status = 'retrying', attempts = job.attempts + 1, scheduled_at = now() + $1::float8 * interval '1 second',
        lease = NULL, daemon_id = NULL, deadline = NULL, marked_at = NULL, put_off_since = NULL,
        last_reply = 'the attempt outlived its deadline'
    FROM overdue
    WHERE job.id = overdue.id AND job.id = ANY (ARRAY(SELECT id FROM overdue)) AND overdue.ended IS NULL
    RETURNING job.id, job.workspace_id, job.attempts, job.scheduled_at, overdue.daemon_id AS held_by
), counted AS (
    INSERT INTO mailworkers.worker_metrics AS m (minute, daemon_id, abandoned, unknown, retried)
    SELECT date_trunc('minute', now()), daemon_id, count(*) FILTER (WHERE ended = 'abandoned'),
        count(*) FILTER (WHERE ended = 'unknown'), count(*) FILTER (WHERE ended IS NULL)
    FROM (SELECT daemon_id, ended FROM parked UNION ALL SELECT held_by, NULL FROM again) AS given_up
    GROUP BY daemon_id ORDER BY daemon_id
    ON CONFLICT (minute, daemon_id) DO UPDATE SET abandoned = m.abandoned + excluded.abandoned,
        unknown = m.unknown + excluded.unknown, retried = m.retried + excluded.retried
), noted AS (
    INSERT INTO mailworkers.email_retry_jobs (job_id, next_try_at, attempt, workspace_id, class, text)
    SELECT id, scheduled_at, attempts, workspace_id, 'system', 'the attempt outlived its deadline' FROM again
    UNION ALL
    SELECT id, NULL, attempts + 1, workspace_id, 'system', 'the attempt outlived its deadline' FROM parked
)
SELECT (SELECT count(*) FROM again) AS again, (SELECT count(*) FROM parked) AS parked
