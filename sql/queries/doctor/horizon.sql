-- Who keeps vacuum from cleaning up: open transactions, prepared ones, replication slots. Catalogs only. $1 seconds.
(SELECT 'transaction' AS kind, coalesce(nullif(application_name, ''), 'an application without a name') || ' (pid ' || pid || ')' AS who,
    extract(epoch FROM now() - xact_start)::float8 AS seconds
 FROM pg_stat_activity
 WHERE backend_xmin IS NOT NULL AND xact_start < now() - $1::float8 * interval '1 second' AND pid <> pg_backend_pid()
 ORDER BY xact_start
 LIMIT 5)
UNION ALL
(SELECT 'prepared transaction', gid, extract(epoch FROM now() - prepared)::float8
 FROM pg_prepared_xacts
 WHERE prepared < now() - $1::float8 * interval '1 second'
 ORDER BY prepared
 LIMIT 5)
UNION ALL
(SELECT 'inactive replication slot', slot_name, NULL
 FROM pg_replication_slots
 WHERE NOT active AND (xmin IS NOT NULL OR catalog_xmin IS NOT NULL)
 LIMIT 5)
