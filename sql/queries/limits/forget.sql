-- What all daemons learned of one ($1 scope, $2 name), or with NULLs of everything. Index: the primary key, or all of a short table.
WITH forgotten AS (
    DELETE FROM mailworkers.learned_rates
    WHERE ($1::text IS NULL OR scope = $1::text) AND ($2::text IS NULL OR name = $2::text)
    RETURNING scope, name
)
SELECT count(DISTINCT (scope, name)) AS rates FROM forgotten
