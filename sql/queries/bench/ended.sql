-- How many mails the record has, from the daemons' counts by the minute, which each group commit keeps exact.
-- worker_metrics of the bench's own schema: a few rows, whatever the number of mails.
SELECT coalesce(sum(sent + failed + abandoned + unknown), 0)::bigint FROM mailworkers.worker_metrics
