-- Live warm-ups today, a line for each quota; of sender $1 only where one is given.
-- The unique index on the senders of live warm-ups, then the primary keys of warmup_quotas and warmup_days.
SELECT sender, schedule, status, why, time_zone, hold_all, on_date, day, last_day, destination_group, quota, granted, sent, refused,
    next_day_at
FROM mailworkers.warm_up_status
WHERE $1::text IS NULL OR sender = $1::text COLLATE "C"
ORDER BY sender, destination_group
