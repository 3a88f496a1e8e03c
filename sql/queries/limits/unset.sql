-- Takes back what was set. Index: the primary key.
DELETE FROM mailworkers.limit_settings WHERE (scope, name) = ($1, $2) RETURNING 1
