"""The ledger of the token buckets in `worker_rate_limits`: one statement leases from any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mailworkers.limits.bucket import Limit
from mailworkers.limits.keys import BucketKey, Scope


class Gateway(Protocol):
    """What runs a named query: `mailworkers.db.pool.Gateway`."""

    async def fetch(self, name: str, *args: Any) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """Tokens wanted from a bucket, and unspent ones handed back to it, the first of which was leased at `returned_from`."""

    key: BucketKey
    limit: Limit
    wanted: int
    returned: int = 0
    returned_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer: `tokens` may be spent, `left` (a fraction too) stays in the bucket; `at` is by the database's clock."""

    key: BucketKey
    tokens: int
    left: float
    at: datetime


class Lender(Protocol):
    """Where tokens come from: the ledger in PostgreSQL, or one in memory in tests."""

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]: ...


class Ledger:
    """The ledger in PostgreSQL. It keeps nothing in memory: several daemons and a restarted one see the same."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        """Lease and hand back, at most one ask a key. Buckets used for the first time are made, with one burst in them.

        After an error it is unknown whether the statement took effect: nobody may spend what it might have granted, nor
        hand back the same tokens again.

        Raises:
            DatabaseUnavailable: try again.
            DatabaseRefused: a person must act.
        """
        grants = await self._lease(asks)
        if len(grants) < len(asks):
            known = {grant.key for grant in grants}
            missing = [ask for ask in asks if ask.key not in known and ask.wanted]
            if missing:
                await self._gateway.fetch("limits/open", *_columns(missing))
                grants += await self._lease(missing)
        return grants

    async def _lease(self, asks: Sequence[Ask]) -> list[Grant]:
        rows = await self._gateway.fetch(
            "limits/lease",
            *_columns(asks),
            [ask.wanted for ask in asks],
            [ask.returned for ask in asks],
            [ask.returned_from for ask in asks],
        )
        return [_grant(row) for row in rows]


def _columns(asks: Iterable[Ask]) -> tuple[list[Any], ...]:
    asks = list(asks)
    return (
        [ask.key.scope.value for ask in asks],
        [ask.key.name for ask in asks],
        [str(ask.key.period) for ask in asks],
        [ask.limit.capacity for ask in asks],
        [ask.limit.rate for ask in asks],
    )


def _grant(row: Mapping[str, Any]) -> Grant:
    key = BucketKey(Scope(row["scope"]), row["name"], row["period"])
    return Grant(key, row["granted"], row["tokens"], row["updated_at"])
