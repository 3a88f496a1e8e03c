-- Progress of imports is kept as long as the history, $1 months; that of campaigns goes with them. Primary key of progress_tracking, its
-- range of imports.
DELETE FROM mailworkers.progress_tracking
WHERE kind = 'import' AND updated_at < date_trunc('month', now()) - $1::integer * interval '1 month'
