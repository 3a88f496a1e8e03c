-- Ask to be woken: granted only while no insert is under way that would not notify (see the trigger wake_daemons).
SELECT pg_try_advisory_lock(hashtextextended('mailworkers.idle', 0))
