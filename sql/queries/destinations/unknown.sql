-- Which of the domains $1 have no group yet, or one that was learned more than $2 days ago.
-- The primary key of destination_domains, one descent for each.
SELECT asked.domain
FROM unnest($1::text[]) AS asked(domain)
WHERE NOT EXISTS (
    SELECT FROM mailworkers.destination_domains AS known
    WHERE known.domain = asked.domain COLLATE "C"
      AND (known.found <> 'mx' OR known.checked_at > now() - $2::float8 * interval '1 day')
)
