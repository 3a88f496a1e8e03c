"""Token buckets and the ledger that daemons lease their tokens from."""

from mailworkers.limits.keys import BucketKey, Scope, limits_from, system_keys, worker_keys, workspace_keys
from mailworkers.limits.ledger import Ledger
from mailworkers.limits.limiter import Limiter
from mailworkers.limits.pace import Pace
from mailworkers.limits.paces import Paces
from mailworkers.limits.purse import Purse
from mailworkers.limits.sharing import Sharing

__all__ = [
    "BucketKey",
    "Ledger",
    "Limiter",
    "Pace",
    "Paces",
    "Purse",
    "Scope",
    "Sharing",
    "limits_from",
    "system_keys",
    "worker_keys",
    "workspace_keys",
]
