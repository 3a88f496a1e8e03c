-- Every live warm-up today, a row for each of its quotas; once a second by each daemon.
-- The unique index on the senders of live warm-ups, then the primary keys of warmup_quotas and warmup_days.
SELECT id, sender, status, why, hold_all, destination_group, on_date, day, last_day, quota, quota - granted AS available,
    extract(epoch FROM next_day_at - now())::float8 AS seconds_left
FROM mailworkers.warm_up_status
ORDER BY id, destination_group
