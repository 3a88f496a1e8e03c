-- A job that ended without being sent lives again, with its id and what its Message-ID is made of, and all attempts before it.
-- One to a lead that may not be written to any more stays ended. Primary key of each month's partition, then those of leads and
-- email_jobs. The state is the fence. $1 id, $2 states to bring back from, $3 what a person says about its end, or NULL.
WITH ended AS (
    DELETE FROM mailworkers.email_sends
    WHERE job_id = $1::bigint AND status = ANY ($2::text[]) AND content IS NOT NULL
      AND (content ->> 'lead_id' IS NULL OR mailworkers.gets_mail(workspace_id, (content ->> 'lead_id')::bigint))
    RETURNING content, reply, campaign_id, status
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, failed, abandoned, cancelled, suppressed, unknown)
    SELECT 'campaign', campaign_id, 0, -1, -(status = 'failed')::integer, -(status = 'abandoned')::integer,
        -(status = 'cancelled')::integer, -(status = 'suppressed')::integer, -(status = 'unknown')::integer
    FROM ended WHERE content ->> 'lead_id' IS NOT NULL
    ON CONFLICT (kind, subject_id, part) DO UPDATE SET done = p.done + excluded.done, failed = p.failed + excluded.failed,
        abandoned = p.abandoned + excluded.abandoned, cancelled = p.cancelled + excluded.cancelled,
        suppressed = p.suppressed + excluded.suppressed, unknown = p.unknown + excluded.unknown, updated_at = now()
)
INSERT INTO mailworkers.email_jobs OVERRIDING SYSTEM VALUE
SELECT job.*
FROM ended
CROSS JOIN LATERAL jsonb_populate_record(
    NULL::mailworkers.email_jobs,
    ended.content || jsonb_build_object('status', 'waiting', 'attempts', 0, 'rescues', 0, 'lease', NULL, 'daemon_id', NULL,
        'deadline', NULL, 'marked_at', NULL, 'put_off_since', NULL, 'scheduled_at', now(),
        'last_reply', nullif(concat_ws('; before: ', $3::text, ended.reply), ''))
) AS job
RETURNING id
