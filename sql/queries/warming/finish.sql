-- Ends the warm-ups that are past their last day. The unique index on the senders of live warm-ups; then primary keys.
UPDATE mailworkers.warmups AS warmup
SET status = 'finished', changed_at = now()
WHERE warmup.status = 'running' AND warmup.id = ANY (ARRAY(
    SELECT today.id FROM mailworkers.warm_up_status AS today WHERE today.status = 'running' AND today.day > today.last_day
))
RETURNING warmup.sender
