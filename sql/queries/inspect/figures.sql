-- What was sent and what failed lately, from the minute roll-up: at most 1,440 rows a daemon. Primary key of worker_metrics.
-- The last minute is this one and the part of the one before that lies within 60 seconds, taken as evenly spread.
SELECT
    round(coalesce(sum(sent) FILTER (WHERE minute = date_trunc('minute', now())), 0)
        + coalesce(sum(sent) FILTER (WHERE minute = date_trunc('minute', now()) - interval '1 minute'), 0)
        * (1 - extract(second FROM now()) / 60))::bigint AS sent_last_minute,
    coalesce(sum(sent) FILTER (WHERE minute >= date_trunc('minute', now()) - interval '59 minutes'), 0)::bigint AS sent_last_hour,
    coalesce(sum(sent), 0)::bigint AS sent_last_day,
    coalesce(sum(failed), 0)::bigint AS failed_last_day,
    coalesce(sum(abandoned), 0)::bigint AS abandoned_last_day,
    coalesce(sum(unknown), 0)::bigint AS unknown_last_day,
    coalesce(sum(retried) FILTER (WHERE minute >= date_trunc('minute', now()) - interval '59 minutes'), 0)::bigint AS retried_last_hour,
    coalesce(sum(snoozed) FILTER (WHERE minute >= date_trunc('minute', now()) - interval '59 minutes'), 0)::bigint AS snoozed_last_hour
FROM mailworkers.worker_metrics
WHERE minute > now() - interval '1 day'
