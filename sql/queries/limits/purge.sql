-- Forgets at most $1 buckets that nobody touched for a day and that are full again: a new one would start the same.
-- Reads the table once, which is one row a worker and workspace; an index on updated_at would cost each lease its
-- update within the page. The deletion itself goes by ctid. Never waits for a lease, and makes none wait for long.
DELETE FROM mailworkers.worker_rate_limits
WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM mailworkers.worker_rate_limits
    WHERE updated_at < now() - interval '1 day'
      AND tokens + rate * extract(epoch FROM now() - updated_at)::float8 >= capacity
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
))
RETURNING 1
