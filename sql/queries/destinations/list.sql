-- All groups with the number of their domains and the names of their exchanges.
-- The whole of the three tables, once each: for a person's command.
SELECT known.name, known.title, known.rate_tokens, known.rate_seconds, known.connections, known.source,
    coalesce(counted.domains, 0), coalesce(exchange.suffixes, '{}')
FROM mailworkers.destination_groups AS known
LEFT JOIN (
    SELECT destination_group, count(*) AS domains FROM mailworkers.destination_domains GROUP BY destination_group
) AS counted ON counted.destination_group = known.name
LEFT JOIN (
    SELECT destination_group, array_agg(suffix ORDER BY suffix) AS suffixes
    FROM mailworkers.destination_mx GROUP BY destination_group
) AS exchange ON exchange.destination_group = known.name
ORDER BY known.name
