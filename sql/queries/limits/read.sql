-- All that daemons share about limits, once a second: what is set, where that is another version than $1, and what was
-- learned within $2 seconds, at most $3 rows. Index: the primary keys; learned_rates has a row a lowered lane and daemon.
SELECT 'version' AS kind, NULL AS scope, NULL AS name, NULL AS instance, NULL::integer AS tokens, NULL::float8 AS seconds,
       NULL::integer AS burst, NULL::float8 AS floor, NULL::float8 AS rate, NULL::float8 AS good, NULL::float8 AS rests,
       NULL::float8 AS age, version, NULL AS reason
FROM mailworkers.limit_changes
UNION ALL
SELECT 'set', scope, name, NULL, tokens, seconds, burst, floor, NULL, NULL, NULL, NULL, NULL, NULL
FROM mailworkers.limit_settings
WHERE (SELECT version FROM mailworkers.limit_changes) <> $1::bigint
UNION ALL
SELECT 'published', 'destination', name, NULL, rate_tokens, rate_seconds, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM mailworkers.destination_groups
WHERE rate_tokens IS NOT NULL AND (SELECT version FROM mailworkers.limit_changes) <> $1::bigint
UNION ALL
(SELECT 'learned', scope, name, instance, NULL, NULL, NULL, NULL, rate, good,
        greatest(0, extract(epoch FROM rests_until - now()))::float8, extract(epoch FROM now() - since)::float8, NULL, reason
 FROM mailworkers.learned_rates
 WHERE updated_at > now() - make_interval(secs => $2::float8)
 ORDER BY scope, name, instance
 LIMIT $3::bigint)
