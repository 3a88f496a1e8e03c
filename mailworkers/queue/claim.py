"""Claiming: which fronts have work, and taking some of it under a lease number.

A front is one priority and campaign of a lane. Campaign 0 stands for mail of none: also for what an application made by
itself and gave a campaign_id.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailworkers.db.pool import Gateway
from mailworkers.queue.depth import QueueDepth
from mailworkers.queue.states import Job, Lane

# Fronts that one look returns: a bound on memory. The next look goes on after the last of them.
MOST_HEADS = 20_000
_BEFORE_ALL = ("", "", -101, 0)  # below every workspace's name, which has a character at least
# Content that one claim may bring, beyond its first job. A row may hold 40 MB, and hundreds of them would neither come
# within a statement's time-out nor fit into memory.
MOST_OCTETS = 32 * 1024 * 1024
CONTENT = ("text_body", "html_body", "attachments", "headers", "data", "payload")  # columns that may be large
DEPTH_BOUND = 10_000  # states are counted exactly up to here, so that no look ever scans a large table


@dataclass(frozen=True, slots=True)
class Head:
    """The first job of one front; `due_in` seconds from now, negative where it is due."""

    lane: Lane
    priority: int
    campaign: int
    scheduled_at: datetime
    id: int
    due_in: float

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Which front it is of, in the order in which the database has them."""
        return (self.lane.workspace_id, self.lane.destination_group, self.priority, self.campaign)


@dataclass(frozen=True, slots=True, order=True)
class Bound:
    """How far claims have come in one front. Ordered as the database orders fronts."""

    lane: Lane
    priority: int
    campaign: int
    from_at: datetime
    from_id: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Which front it is of."""
        return (self.lane.workspace_id, self.lane.destination_group, self.priority, self.campaign)


@dataclass(frozen=True, slots=True)
class Wish:
    """Take up to `take` due jobs of a front, from (`from_at`, `from_id`) on."""

    lane: Lane
    priority: int
    campaign: int
    from_at: datetime
    from_id: int
    take: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Which front it is of."""
        return (self.lane.workspace_id, self.lane.destination_group, self.priority, self.campaign)


@dataclass(frozen=True, slots=True)
class SpecialWorkspace:
    """One that is not treated as all others: `weight` is its share against theirs, usually 1."""

    workspace_id: str
    weight: float
    paused: bool


class Claims:
    """Claims for one daemon; all statements run on the gateway for claims."""

    def __init__(self, gateway: Gateway, deadline_seconds: float) -> None:
        self._gateway = gateway
        self._deadline_seconds = deadline_seconds

    async def heads(self, after: Head | None = None) -> list[Head]:
        """The first job of every front, due or not, in the order of their names. Raises as `Gateway.fetch`.

        Args:
            after: where to go on, when a look brought `MOST_HEADS` and there may be more.
        """
        known = _BEFORE_ALL if after is None else after.key
        return _heads(await self._gateway.fetch("queue/heads", MOST_HEADS, *known))

    async def heads_beyond(self, bounds: Sequence[Bound], after: Head | None = None) -> list[Head]:
        """As `heads`, but passing by what lies before the bounds of fronts that are known. Raises as `Gateway.fetch`.

        Args:
            bounds: each front once.
            after: as for `heads`.
        """
        start = _BEFORE_ALL if after is None else after.key
        known = sorted(bound for bound in bounds if bound.key > start)
        rows = await self._gateway.fetch(
            "queue/heads_beyond",
            MOST_HEADS,
            *start,
            [bound.lane.workspace_id for bound in known],
            [bound.lane.destination_group for bound in known],
            [bound.priority for bound in known],
            [bound.campaign for bound in known],
            [bound.from_at for bound in known],
            [bound.from_id for bound in known],
        )
        return _heads(rows)

    async def claim(self, wishes: Sequence[Wish], daemon_id: int) -> list[Job]:
        """Take what the wishes name, in the order in which it was due, or less where jobs are large.

        Args:
            wishes: fronts, bounds and counts.
            daemon_id: whose lease stands behind it; where that has ended, nothing is claimed.

        Raises:
            DatabaseUnavailable, DatabaseRefused: as `Gateway.fetch`. The claim may have been committed all the same: the
                lease then frees it.
        """
        rows = await self._gateway.fetch(
            "queue/claim",
            [wish.lane.workspace_id for wish in wishes],
            [wish.lane.destination_group for wish in wishes],
            [wish.priority for wish in wishes],
            [wish.campaign for wish in wishes],
            [wish.from_at for wish in wishes],
            [wish.from_id for wish in wishes],
            [wish.take for wish in wishes],
            daemon_id,
            self._deadline_seconds,
            MOST_OCTETS,
        )
        now = time.monotonic()
        rows.sort(key=lambda row: (row["priority"], row["scheduled_at"], row["id"]))
        return [
            Job(
                id=row["id"],
                lease=row["lease"],
                lane=Lane(row["workspace_id"], row["destination_group"]),
                attempts=row["attempts"],
                max_retries=row["max_retries"],
                job_type=row["job_type"],
                at_most_once=row["delivery"] == "at_most_once",
                waited=row["waited"],
                claimed=now,
                size=sum([len(row[part] or "") for part in CONTENT]),
                row=row,
                put_off=row["put_off"] or 0.0,
            )
            for row in rows
        ]

    async def special_workspaces(self) -> list[SpecialWorkspace]:
        """Those that have a weight of their own or are paused. Raises as `Gateway.fetch`."""
        return [SpecialWorkspace(*row) for row in await self._gateway.fetch("workspaces/special")]

    async def count_due(self, heads: Sequence[Head], bound: int) -> int:
        """Due jobs of these fronts, each counted up to `bound`. Raises as `Gateway.fetch`."""
        count: int = await self._gateway.fetchval(
            "queue/count_due",
            [head.lane.workspace_id for head in heads],
            [head.lane.destination_group for head in heads],
            [head.priority for head in heads],
            [head.campaign for head in heads],
            bound,
        )
        return count

    async def depth(self, oldest_due_seconds: float | None) -> QueueDepth:
        """Live jobs by state, each counted up to `DEPTH_BOUND`, at a bounded cost. Raises as `Gateway.fetch`.

        Args:
            oldest_due_seconds: what the heads told, carried into the answer.
        """
        row = await self._gateway.fetchrow("queue/depth", DEPTH_BOUND)
        assert row is not None
        exact = row["ready"] < DEPTH_BOUND
        ready = row["ready"] if exact else max(row["ready_estimate"], row["ready"])
        return QueueDepth(
            waiting=max(0, ready - row["retrying"]),
            retrying=row["retrying"],
            sending=row["sending"],
            paused=row["paused"],
            oldest_due_seconds=oldest_due_seconds,
            exact=exact,
        )


def _heads(rows: Sequence[Any]) -> list[Head]:
    return [
        Head(Lane(row[0], row[1]), priority=row[2], campaign=row[3], scheduled_at=row[4], id=row[5], due_in=row[6])
        for row in rows
    ]
