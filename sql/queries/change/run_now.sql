-- A job that waits for its next try is due now. Primary key of email_jobs; the state is the fence. $1 id.
UPDATE mailworkers.email_jobs
SET scheduled_at = now()
WHERE id = $1::bigint AND status = 'retrying'
RETURNING id
