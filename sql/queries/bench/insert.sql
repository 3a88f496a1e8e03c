-- One mail in a transaction of its own, as an application inserts it. $1 recipient, $2 subject, $3 text, $4 sender, $5 HTML or NULL.
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body, from_email, html_body) VALUES ($1, $2, $3, $4, $5)
