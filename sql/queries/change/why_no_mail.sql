-- Why the lead of a job that was not sent may not be written to any more; NULL where it may, and of mail to no lead. Primary key of each
-- month's partition, then that of leads. $1 id.
SELECT mailworkers.why_no_mail(workspace_id, (content ->> 'lead_id')::bigint) FROM mailworkers.email_sends
WHERE job_id = $1::bigint AND content ->> 'lead_id' IS NOT NULL
