-- Leases tokens from many buckets at once and takes unspent ones back. Buckets that do not exist yet are left out.
-- Index: the primary key (scope, name, period). Rows are locked in its order, so that daemons never deadlock.
-- The clock is read after the lock: a statement that had to wait must not count the same seconds twice.
-- The arithmetic is that of mailworkers/limits/bucket.py, where it is explained.
WITH asked AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::bigint[], $7::bigint[], $8::timestamptz[])
        AS one (scope, name, period, capacity, rate, wanted, returned, returned_from)
),
locked AS MATERIALIZED (
    SELECT bucket.scope, bucket.name, bucket.period, bucket.tokens, bucket.updated_at, asked.wanted, asked.returned,
           asked.returned_from, asked.capacity, asked.rate,
           least(bucket.capacity, asked.capacity) AS lower_capacity,
           least(bucket.rate, asked.rate) AS lower_rate,
           greatest(bucket.rate, asked.rate) AS higher_rate
    FROM asked
    JOIN mailworkers.worker_rate_limits AS bucket
      ON (bucket.scope, bucket.name, bucket.period) = (asked.scope, asked.name, asked.period)
    ORDER BY bucket.scope, bucket.name, bucket.period
    FOR UPDATE OF bucket
),
timed AS MATERIALIZED (
    SELECT locked.*, clock_timestamp() AS moment FROM locked
),
aged AS (
    SELECT timed.*,
           greatest(0, extract(epoch FROM moment - updated_at)::float8) AS elapsed,
           greatest(0, extract(epoch FROM moment - coalesce(returned_from, moment))::float8) AS age
    FROM timed
),
filled AS (
    SELECT aged.*,
           least(lower_capacity, tokens + lower_rate * elapsed + greatest(0, returned - higher_rate * age)) AS level
    FROM aged
),
granted AS (
    SELECT filled.*, least(wanted, floor(level)) AS count FROM filled
)
UPDATE mailworkers.worker_rate_limits AS bucket
SET tokens = granted.level - granted.count,
    capacity = granted.capacity,
    rate = granted.rate,
    updated_at = granted.moment
FROM granted
WHERE (bucket.scope, bucket.name, bucket.period) = (granted.scope, granted.name, granted.period)
RETURNING bucket.scope, bucket.name, bucket.period, granted.count::bigint AS granted, bucket.tokens, bucket.updated_at
