-- Minute figures are kept for $1 days. Primary key of worker_metrics.
DELETE FROM mailworkers.worker_metrics WHERE minute < now() - $1::integer * interval '1 day'
