-- All schedules, with how long they are and from what to what their days grow. Primary key of warmup_quotas.
SELECT known.name, known.title, known.source, known.shipped, sums.days, sums.first_day, sums.last_day
FROM mailworkers.warmup_schedules AS known
CROSS JOIN LATERAL (
    SELECT max(quota.day) AS days, sum(quota.quota) FILTER (WHERE quota.day = 1)::bigint AS first_day,
        (SELECT sum(last.quota)::bigint FROM (
            SELECT DISTINCT ON (every.destination_group) every.quota FROM mailworkers.warmup_quotas AS every
            WHERE every.schedule = known.name ORDER BY every.destination_group, every.day DESC
        ) AS last) AS last_day
    FROM mailworkers.warmup_quotas AS quota WHERE quota.schedule = known.name
) AS sums
ORDER BY known.shipped, known.name
