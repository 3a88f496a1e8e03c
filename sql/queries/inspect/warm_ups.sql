-- Warm-ups whose mails wait for a person. The unique index on the senders of live warm-ups.
SELECT sender, status, why FROM mailworkers.warmups
WHERE status IN ('paused', 'halted')
ORDER BY sender
