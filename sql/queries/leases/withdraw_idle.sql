-- No notifications needed any more: inserts are spared their cost.
SELECT pg_advisory_unlock(hashtextextended('mailworkers.idle', 0))
