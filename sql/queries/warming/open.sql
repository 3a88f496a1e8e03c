-- Makes today's rows of quotas that nobody has used today. Primary keys of warmups and warmup_days, in whose order it inserts.
-- $1 warm-ups, $2 groups.
INSERT INTO mailworkers.warmup_days (warmup_id, on_date, destination_group, day, quota)
SELECT today.id, today.on_date, today.destination_group, today.day, today.quota
FROM unnest($1::bigint[], $2::text[]) AS asked (warmup_id, destination_group)
JOIN mailworkers.warm_up_status AS today
  ON today.id = asked.warmup_id AND today.destination_group = asked.destination_group COLLATE "C"
ORDER BY today.id, today.on_date, today.destination_group
ON CONFLICT (warmup_id, on_date, destination_group) DO NOTHING
