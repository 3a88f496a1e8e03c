-- A person says that a mail whose end was unknown did arrive: it counts as sent, and is not kept whole any more.
-- Primary key of each month's partition. The state is the fence: of two persons one wins. $1 id, $2 who says so and when.
WITH unknown AS MATERIALIZED (
    SELECT finished_at, campaign_id, content ->> 'lead_id' IS NOT NULL AS of_campaign FROM mailworkers.email_sends
    WHERE job_id = $1::bigint AND status = 'unknown'
    FOR UPDATE
), progressed AS (
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, unknown, sent)
    SELECT 'campaign', campaign_id, 0, -1, 1 FROM unknown WHERE of_campaign
    ON CONFLICT (kind, subject_id, part) DO UPDATE
        SET unknown = p.unknown + excluded.unknown, sent = p.sent + excluded.sent, updated_at = now()
)
UPDATE mailworkers.email_sends
SET status = 'sent', reply = concat_ws('; before: ', $2::text, reply), content = NULL
WHERE job_id = $1::bigint AND status = 'unknown' AND finished_at = ANY (ARRAY(SELECT finished_at FROM unknown))
RETURNING job_id
