-- What is slowed because a relay asked for less: one row a lane, over all daemons that told so within $1 seconds; the slowest
-- first, at most $2. Reads the table once: a row a lowered lane and daemon.
SELECT scope, name, sum(rate)::float8 AS rate, min(since) AS since, count(*)::integer AS daemons,
       greatest(0, extract(epoch FROM max(rests_until) - now()))::float8 AS rests,
       (array_agg(reason ORDER BY updated_at DESC))[1] AS reason
FROM mailworkers.learned_rates
WHERE updated_at > now() - make_interval(secs => $1::float8)
GROUP BY scope, name
ORDER BY rate, scope, name
LIMIT $2::bigint
