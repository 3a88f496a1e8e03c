-- Of all mails that were not sent, the next after a place, in the order of their end; with details of those of one campaign, and only
-- places of the others. Index email_sends_not_sent of each month's partition, never more than $5 rows of it. $1 campaign, $2 when it
-- started, $3 and $4 end and job to begin behind, $5 how many to look at.
SELECT finished_at, job_id, mine, CASE WHEN mine THEN to_email END AS email, CASE WHEN mine THEN status END AS status,
    CASE WHEN mine THEN attempts END AS attempts, CASE WHEN mine THEN reply END AS reply, CASE WHEN mine THEN reply_code END AS code,
    CASE WHEN mine THEN (content ->> 'lead_id')::bigint END AS lead_id
FROM (
    SELECT *, campaign_id IS NOT DISTINCT FROM $1::bigint AND content ? 'lead_id' AS mine FROM mailworkers.email_sends
    WHERE status <> 'sent' AND finished_at >= greatest($2::timestamptz, $3::timestamptz)
      AND (finished_at, job_id) > ($3::timestamptz, $4::bigint)
    ORDER BY finished_at, job_id LIMIT $5::integer
) AS looked_at
ORDER BY finished_at, job_id
