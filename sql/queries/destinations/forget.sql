-- Forget up to $2 domains whose learned group is more than $1 days old: nobody has written to them since, or no daemon looks up.
-- Index destination_domains_learned, from its beginning.
DELETE FROM mailworkers.destination_domains
WHERE domain = ANY (ARRAY(
    SELECT domain
    FROM mailworkers.destination_domains
    WHERE found = 'mx' AND checked_at < now() - $1::float8 * interval '1 day'
    ORDER BY checked_at
    LIMIT $2::integer
))
