"""The ledger of warm-ups in PostgreSQL: what each may send today, and what daemons have leased of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Protocol

from mailworkers.warming.day import Account, DayKey
from mailworkers.warming.senders import Quota, WarmUp

JUDGED_DAYS: Final = 3  # today and the two days before: a sender is judged by how it is received now


class Gateway(Protocol):
    """What runs a named query: `mailworkers.db.pool.Gateway`."""

    async def fetch(self, name: str, *args: Any) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Grant:
    """`given` mails may be begun within `seconds_left` after the lease was asked for."""

    key: DayKey
    given: int
    seconds_left: float


class Ledger:
    """It keeps nothing in memory: several daemons and a restarted one see the same. All methods raise DatabaseError."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def current(self) -> list[WarmUp]:
        """All live warm-ups as they stand today."""
        rows = await self._gateway.fetch("warming/current")
        return [_warm_up(list(of_one)) for _, of_one in groupby(rows, key=lambda row: row["id"])]

    async def lease(self, warmup_id: int, destination_group: str, wanted: int) -> Grant | None:
        """Lease of today's quota; None where the warm-up does not run any more.

        After an error it is unknown whether the statement took effect: nobody may use what it might have granted.
        """
        asked = ([warmup_id], [destination_group])
        rows = await self._gateway.fetch("warming/lease", *asked, [wanted])
        if not rows:  # the first of this day
            await self._gateway.fetch("warming/open", *asked)
            rows = await self._gateway.fetch("warming/lease", *asked, [wanted])
        return _grant(rows[0]) if rows else None

    async def settle(self, accounts: Sequence[Account]) -> None:
        """Tell it of mails sent, refused, handed back and charged. Those of a date that has no row yet make it."""
        left = await self._settle(accounts)
        if left:
            await self._gateway.fetch(
                "warming/open", [one.key.warmup_id for one in left], [one.key.destination_group for one in left]
            )
            await self._settle(left)

    async def judge(self, warmup_ids: Sequence[int]) -> list[tuple[str, str]]:
        """Halt those whose mails are refused too often; their senders, and why."""
        rows = await self._gateway.fetch("warming/judge", list(warmup_ids), JUDGED_DAYS)
        return [(row["sender"], row["why"]) for row in rows]

    async def finish(self) -> list[str]:
        """End those that are past their last day; their senders."""
        return [row["sender"] for row in await self._gateway.fetch("warming/finish")]

    async def _settle(self, accounts: Sequence[Account]) -> list[Account]:
        rows = await self._gateway.fetch(
            "warming/settle",
            [one.key.warmup_id for one in accounts],
            [one.key.destination_group for one in accounts],
            [one.key.on_date for one in accounts],
            [one.sent for one in accounts],
            [one.refused for one in accounts],
            [one.returned for one in accounts],
            [one.charged for one in accounts],
        )
        known = {_key(row) for row in rows}
        return [one for one in accounts if one.key not in known]


def _key(row: Mapping[str, Any]) -> DayKey:
    return DayKey(row["id"], row["on_date"], row["destination_group"])


def _grant(row: Mapping[str, Any]) -> Grant:
    return Grant(_key(row), row["given"], row["seconds_left"])


def _warm_up(rows: Sequence[Mapping[str, Any]]) -> WarmUp:
    row = rows[0]
    return WarmUp(
        id=row["id"],
        sender=row["sender"],
        status=row["status"],
        why=row["why"] or "",
        hold_all=row["hold_all"],
        on_date=row["on_date"],
        day=row["day"],
        last_day=row["last_day"],
        seconds_left=row["seconds_left"],
        quotas={
            one["destination_group"]: Quota(one["destination_group"], one["quota"], one["available"]) for one in rows
        },
    )
