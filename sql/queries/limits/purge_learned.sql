-- Forgets what was learned by daemons that told nothing for an hour, at most $1 rows. Reads the table once: a row a lowered
-- lane and daemon. The deletion goes by ctid.
DELETE FROM mailworkers.learned_rates
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mailworkers.learned_rates WHERE updated_at < now() - interval '1 hour' LIMIT $1::bigint FOR UPDATE SKIP LOCKED
))
