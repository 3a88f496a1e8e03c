-- Set the group $2 of the domain $1; where there is no such group it is made if $3 says so, else nothing happens. Tells whether
-- the domain was set. Group '' is that of everything else. The primary keys of destination_groups and destination_domains.
WITH made AS (
    INSERT INTO mailworkers.destination_groups (name, title)
    SELECT $2::text, $2::text WHERE $3::boolean AND $2::text <> ''
    ON CONFLICT (name) DO NOTHING
    RETURNING name
), placed AS (
    INSERT INTO mailworkers.destination_domains AS known (domain, destination_group, found)
    SELECT $1::text, $2::text, 'set'
    WHERE $2::text = '' OR EXISTS (SELECT FROM made)
       OR EXISTS (SELECT FROM mailworkers.destination_groups WHERE name = $2::text COLLATE "C")
    ON CONFLICT (domain) DO UPDATE SET destination_group = EXCLUDED.destination_group, found = 'set', checked_at = now()
    RETURNING domain
)
SELECT EXISTS (SELECT FROM placed)
