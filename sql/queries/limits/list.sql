-- What is set, and what destinations publish, at most $1 rows. Index: the primary keys.
SELECT scope, name, tokens, seconds, burst, floor, changed_at, 'set' AS source
FROM mailworkers.limit_settings
UNION ALL
SELECT 'destination', name, rate_tokens, rate_seconds, NULL, NULL, NULL, coalesce(source, 'published')
FROM mailworkers.destination_groups AS published
WHERE rate_tokens IS NOT NULL
  AND NOT EXISTS (SELECT FROM mailworkers.limit_settings AS own WHERE (own.scope, own.name) = ('destination', published.name))
ORDER BY scope, name
LIMIT $1::bigint
