"""mailworkers turns rows into mails: PostgreSQL is the queue, the lock, the wake-up and the record."""

__version__ = "0.1.0"
