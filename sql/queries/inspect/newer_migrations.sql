-- The newest migration beyond $1, and whether one of those ends daemons that know none of them. A table of one row a migration.
SELECT max(version) AS newest, bool_or(ends_older) AS ends_older
FROM mailworkers.schema_migrations
WHERE version > $1::integer
