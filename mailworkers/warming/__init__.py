"""Warm-up of new senders: schedules of quotas by day, and the ledger that daemons lease them from."""

from mailworkers.warming.ledger import Ledger
from mailworkers.warming.senders import Quota, Senders, WarmUp

__all__ = ["Ledger", "Quota", "Senders", "WarmUp"]
