-- The days of schedule $1. Primary key of warmup_quotas.
SELECT day, destination_group, quota FROM mailworkers.warmup_quotas WHERE schedule = $1::text COLLATE "C"
ORDER BY destination_group, day
