-- One daemon registers at a time, and sees those before it. A lock, no table.
SELECT pg_advisory_xact_lock(hashtextextended('mailworkers.register', 0))
