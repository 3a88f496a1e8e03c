-- One mail from the command line, by the contract that every application uses. $1 recipient … $9 attachments as JSON.
INSERT INTO mailworkers.email_jobs (to_email, to_name, from_email, from_name, reply_to, subject, text_body, html_body, attachments)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)
RETURNING id
