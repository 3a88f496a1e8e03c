-- Let a held warm-up go on. The unique index on the senders of live warm-ups; the primary key of warmup_days.
SELECT mailworkers.resume_warm_up($1::text) AS id
