-- The newest migration that ran. A table of one row a migration.
SELECT max(version) FROM mailworkers.schema_migrations
