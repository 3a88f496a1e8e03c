-- Take back what no living daemon holds, whether its own has ended or is not known any more: run it again, or park as unknown
-- what was marked to go at most once. A job that saw $1 daemons die is abandoned: it may be what kills them.
-- Index email_jobs_sending, one range between each two living daemons' numbers, however many have ended; $2 at most so many of
-- each. A daemon that registers meanwhile has a higher number than all that are known here, so the ranges end with these:
-- a job that it claims while this statement waits is not taken from it. Beyond them one number is looked at each time.
-- The Message-ID is the one that every attempt had: made of the row's token and the sender's domain, $3 where the row names no
-- sender; an internationalized domain has another form in it, which is not known here.
WITH living AS MATERIALIZED (
    SELECT id FROM mailworkers.email_daemons WHERE ended_at IS NULL
), gaps AS MATERIALIZED (
    SELECT coalesce(lag(id) OVER (ORDER BY id), 0) AS above, id AS below
    FROM (SELECT id FROM living UNION ALL SELECT max(id) + 1 FROM mailworkers.email_daemons) AS ends
    UNION ALL
    SELECT beyond.daemon_id - 1, beyond.daemon_id + 1
    FROM (SELECT coalesce(max(id), 0) AS id FROM mailworkers.email_daemons) AS last
    CROSS JOIN LATERAL (
        SELECT daemon_id FROM mailworkers.email_jobs
        WHERE status = 'sending' AND daemon_id > last.id
        ORDER BY daemon_id
        LIMIT 1
    ) AS beyond
), orphans AS MATERIALIZED (
    SELECT held.id,
        CASE WHEN held.delivery = 'at_most_once' AND held.marked_at IS NOT NULL THEN 'unknown'
             WHEN held.rescues + 1 >= $1::integer THEN 'abandoned' END AS ended
    FROM gaps
    CROSS JOIN LATERAL (
        SELECT id, delivery, marked_at, rescues FROM mailworkers.email_jobs
        WHERE status = 'sending' AND daemon_id > gaps.above AND daemon_id < gaps.below
        LIMIT $2::integer
        FOR UPDATE SKIP LOCKED
    ) AS held
), parked AS (
    DELETE FROM mailworkers.email_jobs AS job
    USING orphans
    WHERE job.id = orphans.id AND job.id = ANY (ARRAY(SELECT id FROM orphans)) AND orphans.ended IS NOT NULL
    RETURNING job.*, orphans.ended, to_jsonb(job) AS content
), kept AS (
    INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type,
        status, to_email, subject, message_id, reply, content)
    SELECT id, campaign_id, created_at, scheduled_at, attempts + 1, workspace_id, job_type, ended, to_email, subject,
        CASE WHEN job_type = 'send-email' AND octet_length(sender.domain) = length(sender.domain)
             THEN replace(message_token::text, '-', '') || '@' || nullif(sender.domain, '') END,
        CASE ended WHEN 'unknown' THEN 'its daemon died after the mail had been begun: it may have been sent'
                   ELSE 'its daemon died each time that it was tried' END, content
    FROM parked
    CROSS JOIN LATERAL (
        SELECT CASE WHEN from_email <> '' THEN split_part(from_email, '@', 2) ELSE $3::text END AS domain
    ) AS sender
), counted AS (
    INSERT INTO mailworkers.worker_metrics AS m (minute, daemon_id, abandoned, unknown)
    SELECT date_trunc('minute', now()), daemon_id, count(*) FILTER (WHERE ended = 'abandoned'),
        count(*) FILTER (WHERE ended = 'unknown')
    FROM parked GROUP BY daemon_id ORDER BY daemon_id
    ON CONFLICT (minute, daemon_id) DO UPDATE SET abandoned = m.abandoned + excluded.abandoned,
        unknown = m.unknown + excluded.unknown
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, abandoned, unknown)
    SELECT 'campaign', campaign_id, 0, count(*), count(*) FILTER (WHERE ended = 'abandoned'),
        count(*) FILTER (WHERE ended = 'unknown')
    FROM parked WHERE lead_id IS NOT NULL GROUP BY campaign_id ORDER BY campaign_id
    ON CONFLICT (kind, subject_id, part) DO UPDATE SET done = p.done + excluded.done,
        abandoned = p.abandoned + excluded.abandoned, unknown = p.unknown + excluded.unknown, updated_at = now()
), again AS (
    UPDATE mailworkers.email_jobs AS job
    SET status = CASE WHEN job.attempts > 0 THEN 'retrying' ELSE 'waiting' END, rescues = job.rescues + 1,
        lease = NULL, daemon_id = NULL, deadline = NULL, marked_at = NULL
    FROM orphans
    WHERE job.id = orphans.id AND job.id = ANY (ARRAY(SELECT id FROM orphans)) AND orphans.ended IS NULL
    RETURNING job.id
)
SELECT (SELECT count(*) FROM again) AS again, (SELECT count(*) FROM parked) AS parked
