-- Idempotency keys live as long as the history; $1 months, $2 at most so many at once. Index email_idempotency_keys_age.
DELETE FROM mailworkers.email_idempotency_keys
WHERE (workspace_id, idempotency_key) IN (
    SELECT workspace_id, idempotency_key FROM mailworkers.email_idempotency_keys
    WHERE created_at < date_trunc('month', now()) - $1::integer * interval '1 month'
    ORDER BY created_at
    LIMIT $2::integer
)
