-- What is known of the domain $1. The primary key of destination_domains.
SELECT domain, destination_group, found, shipped, checked_at
FROM mailworkers.destination_domains
WHERE domain = $1::text COLLATE "C"
