"""Token buckets and the ledger that daemons lease their tokens from."""

from mailworkers.limits.keys import BucketKey, limits_from, system_keys, worker_keys, workspace_keys
from mailworkers.limits.ledger import Ledger
from mailworkers.limits.limiter import Limiter

__all__ = ["BucketKey", "Ledger", "Limiter", "limits_from", "system_keys", "worker_keys", "workspace_keys"]
