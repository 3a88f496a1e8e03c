-- Warm-ups, the newest first, at most $1; all of them or only live ones ($2). Primary key of warmups.
SELECT warmup.id, warmup.sender, warmup.schedule, warmup.status, warmup.started_on, warmup.time_zone, warmup.refusals_percent,
    warmup.refusals_least, warmup.hold_all, warmup.why, warmup.created_at, warmup.changed_at
FROM mailworkers.warmups AS warmup
WHERE NOT $2::boolean OR warmup.status IN ('running', 'paused', 'halted')
ORDER BY warmup.id DESC
LIMIT $1::bigint
