-- Makes the buckets that do not exist yet, each full. Index: the primary key (scope, name, period), in whose order it inserts.
INSERT INTO mailworkers.worker_rate_limits (scope, name, period, tokens, capacity, rate, updated_at)
SELECT scope, name, period, capacity, capacity, rate, clock_timestamp()
FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::float8[]) AS one (scope, name, period, capacity, rate)
ORDER BY scope COLLATE "C", name COLLATE "C", period COLLATE "C"
ON CONFLICT (scope, name, period) DO NOTHING
