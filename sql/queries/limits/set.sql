-- Sets a limit, or changes it. Index: the primary key.
INSERT INTO mailworkers.limit_settings (scope, name, tokens, seconds, burst, floor)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (scope, name) DO UPDATE
SET tokens = excluded.tokens, seconds = excluded.seconds, burst = excluded.burst, floor = excluded.floor, changed_at = now()
