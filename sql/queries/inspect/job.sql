-- One live job with everything but its bodies and attachments, which may be large. Primary key of email_jobs. $1 id.
SELECT id AS job_id, workspace_id, campaign_id, job_type, status, priority, attempts, max_retries, delivery, idempotency_key,
    created_at, scheduled_at, deadline, lease, daemon_id, rescues, message_token::text AS message_token,
    to_email, to_name, from_email, from_name, reply_to, cc, bcc, subject, template, headers::text AS headers,
    last_reply AS reply, octet_length(text_body) AS text_octets, octet_length(html_body) AS html_octets,
    CASE WHEN attachments IS NULL THEN 0 ELSE jsonb_array_length(attachments) END AS attachments
FROM mailworkers.email_jobs
WHERE id = $1::bigint
