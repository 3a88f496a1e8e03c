-- Idempotency keys live as long as their job and its history, and for $1 months at least. Where an old key is still needed, its
-- age counts anew from the job's end, or while it lives from now, so that each look comes past it. $2 at most so many at once.
-- Index email_idempotency_keys_age, then for each key the primary keys of email_jobs and of the months of email_sends that stay.
WITH old AS MATERIALIZED (
    SELECT workspace_id, idempotency_key, job_id
    FROM mailworkers.email_idempotency_keys
    WHERE created_at < date_trunc('month', now()) - $1::integer * interval '1 month'
    ORDER BY created_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
), looked_up AS MATERIALIZED (
    SELECT workspace_id, idempotency_key, coalesce(
        (SELECT now() FROM mailworkers.email_jobs WHERE id = old.job_id),
        (SELECT max(finished_at) FROM mailworkers.email_sends
         WHERE job_id = old.job_id AND finished_at >= date_trunc('month', now()) - $1::integer * interval '1 month')
        ) AS needed_since
    FROM old
), kept AS (
    UPDATE mailworkers.email_idempotency_keys AS k SET created_at = looked_up.needed_since
    FROM looked_up
    WHERE (k.workspace_id, k.idempotency_key) = (looked_up.workspace_id, looked_up.idempotency_key)
      AND looked_up.needed_since IS NOT NULL
)
DELETE FROM mailworkers.email_idempotency_keys AS k
USING looked_up
WHERE (k.workspace_id, k.idempotency_key) = (looked_up.workspace_id, looked_up.idempotency_key)
  AND looked_up.needed_since IS NULL
