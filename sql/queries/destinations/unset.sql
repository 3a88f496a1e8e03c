-- Take back what was set for the domain $1 or learned about it, so that what is shipped holds, if anything. Tells whether there
-- was anything to take back. The primary key of destination_domains.
WITH gone AS (
    DELETE FROM mailworkers.destination_domains
    WHERE domain = $1::text COLLATE "C" AND shipped IS NULL
    RETURNING domain
), restored AS (
    UPDATE mailworkers.destination_domains
    SET destination_group = shipped, found = 'shipped', checked_at = now()
    WHERE domain = $1::text COLLATE "C" AND shipped IS NOT NULL AND found <> 'shipped'
    RETURNING domain
)
SELECT EXISTS (SELECT FROM gone UNION ALL SELECT FROM restored)
