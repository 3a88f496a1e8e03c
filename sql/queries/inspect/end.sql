-- How one job ended; the token is what its Message-ID begins with, known even where no daemon lived to record that.
-- Primary key of each month's partition. $1 id.
SELECT job_id, workspace_id, campaign_id, job_type, status, attempts, created_at, scheduled_at, finished_at, to_email, subject,
    message_id, replace(content ->> 'message_token', '-', '') AS message_token, reply_code, enhanced_code,
    reply, refused::text AS refused, content IS NOT NULL AS can_be_retried
FROM mailworkers.email_sends
WHERE job_id = $1::bigint
ORDER BY finished_at DESC
LIMIT 1
