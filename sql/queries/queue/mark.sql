-- The durable mark before the first byte of DATA of a mail that must go at most once.
-- Primary key of email_jobs. $1 ids, $2 leases. Returns those that may be sent.
UPDATE mailworkers.email_jobs AS job
SET marked_at = now()
FROM unnest($1::bigint[], $2::bigint[]) AS wanted(id, lease)
WHERE job.id = wanted.id AND job.lease = wanted.lease
RETURNING job.id
