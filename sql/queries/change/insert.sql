-- One mail from the command line, by the contract that every application uses. $1 recipient … $9 attachments as JSON, $10 cc,
-- $11 bcc, $12 not before, $13 idempotency key, $14 template, $15 its variables as JSON, $16 campaign, $17 workspace.
INSERT INTO mailworkers.email_jobs (to_email, to_name, from_email, from_name, reply_to, subject, text_body, html_body, attachments,
    cc, bcc, scheduled_at, idempotency_key, template, data, campaign_id, workspace_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10::text[], $11::text[], coalesce($12::timestamptz, now()), $13, $14, $15::jsonb,
    $16::bigint, coalesce($17::text, 'default'))
RETURNING id
