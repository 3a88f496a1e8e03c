-- Counts what became of mails, hands back what was not sent, and charges what went out without waiting for the quota.
-- Primary key of warmup_days. Rows are locked in its order, so that daemons never deadlock.
-- $1 warm-ups, $2 groups, $3 dates, $4 sent, $5 refused, $6 handed back, $7 charged.
WITH told AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS one (warmup_id, destination_group, on_date, sent, refused, returned, charged)
),
locked AS MATERIALIZED (
    SELECT told.*
    FROM told
    JOIN mailworkers.warmup_days AS known
      ON (known.warmup_id, known.on_date, known.destination_group)
       = (told.warmup_id, told.on_date, told.destination_group COLLATE "C")
    ORDER BY known.warmup_id, known.on_date, known.destination_group
    FOR UPDATE OF known
)
UPDATE mailworkers.warmup_days AS known
SET sent = known.sent + locked.sent, refused = known.refused + locked.refused,
    granted = greatest(0, known.granted - locked.returned + locked.charged)
FROM locked
WHERE (known.warmup_id, known.on_date, known.destination_group)
    = (locked.warmup_id, locked.on_date, locked.destination_group COLLATE "C")
RETURNING known.warmup_id AS id, known.destination_group, known.on_date
