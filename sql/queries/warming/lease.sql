-- Leases mails of today's quotas, never more than is left of each; rows that do not exist yet are left out.
-- Primary keys of warmups and warmup_days. Rows are locked in their order, so that daemons never deadlock.
-- Which day it is, is found before the locks: who has waited past midnight gets what cannot be used any more, never too much.
-- $1 warm-ups, $2 groups, $3 how many of each.
WITH asked AS MATERIALIZED (
    SELECT one.wanted, today.id, today.on_date, today.destination_group, today.day, today.quota,
           extract(epoch FROM today.next_day_at - now())::float8 AS seconds_left
    FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS one (warmup_id, destination_group, wanted)
    JOIN mailworkers.warm_up_status AS today
      ON today.id = one.warmup_id AND today.destination_group = one.destination_group COLLATE "C"
    WHERE today.status = 'running'
),
locked AS MATERIALIZED (
    SELECT asked.*, greatest(0, least(asked.wanted, asked.quota - known.granted)) AS given
    FROM asked
    JOIN mailworkers.warmup_days AS known
      ON (known.warmup_id, known.on_date, known.destination_group) = (asked.id, asked.on_date, asked.destination_group)
    ORDER BY known.warmup_id, known.on_date, known.destination_group
    FOR UPDATE OF known
)
UPDATE mailworkers.warmup_days AS known
SET granted = known.granted + locked.given, quota = locked.quota, day = locked.day
FROM locked
WHERE (known.warmup_id, known.on_date, known.destination_group) = (locked.id, locked.on_date, locked.destination_group)
RETURNING known.warmup_id AS id, known.destination_group, known.on_date, locked.given, locked.seconds_left
