-- Write down the groups $2 that were found for the domains $1; what is shipped or set stays as it is.
-- The primary key of destination_domains; in its order, so that two daemons never wait for each other in a circle.
INSERT INTO mailworkers.destination_domains AS known (domain, destination_group, found, checked_at)
SELECT answer.domain, answer.destination_group, 'mx', now()
FROM unnest($1::text[], $2::text[]) AS answer(domain, destination_group)
ORDER BY answer.domain COLLATE "C"
ON CONFLICT (domain) DO UPDATE
SET destination_group = EXCLUDED.destination_group, checked_at = EXCLUDED.checked_at
WHERE known.found = 'mx'
