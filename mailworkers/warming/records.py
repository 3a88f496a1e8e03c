"""What a person does with warm-ups, and sees of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

import asyncpg

from mailworkers.db.pool import Database, Gateway
from mailworkers.errors import WarmUpError
from mailworkers.warming.schedule import Schedule, Step, as_json
from mailworkers.warming.senders import plain


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One schedule. `first_day` and `last_day`: mails on these days, all groups together."""

    name: str
    title: str
    source: str | None
    shipped: bool
    days: int
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class WarmUpLine:
    """One warm-up, live or ended."""

    id: int
    sender: str
    schedule: str
    status: str
    started_on: date
    time_zone: str
    refusals_percent: float
    refusals_least: int
    hold_all: bool
    why: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """One quota of a live warm-up today. `granted`: what daemons have leased, an upper bound of what went out."""

    sender: str
    schedule: str
    status: str
    why: str | None
    time_zone: str
    hold_all: bool
    on_date: date
    day: int
    last_day: int
    destination_group: str
    quota: int
    granted: int
    sent: int
    refused: int
    next_day_at: datetime


@dataclass(frozen=True, slots=True)
class Start:
    """How a warm-up is to begin. `started_on` None: today, in its time zone."""

    sender: str
    schedule: str
    time_zone: str = "UTC"
    started_on: date | None = None
    refusals_percent: float = 5.0
    refusals_least: int = 50
    hold_all: bool = False


async def list_schedules(gateway: Gateway) -> list[ScheduleLine]:
    """All of them, one's own first."""
    return [_line(ScheduleLine, row) for row in await gateway.fetch("warming/schedules")]


async def read_schedule(gateway: Gateway, name: str) -> tuple[ScheduleLine, Schedule]:
    """One schedule and its days.

    Raises:
        WarmUpError: there is none of this name.
    """
    known = await list_schedules(gateway)
    for line in known:
        if line.name == name:
            rows = await gateway.fetch("warming/schedule", name)
            return line, Schedule(tuple(Step(row["day"], row["destination_group"], row["quota"]) for row in rows))
    raise WarmUpError(f"there is no warm-up schedule {name!r}", f"Name one of {', '.join(line.name for line in known)}")


async def list_warm_ups(gateway: Gateway, limit: int, *, live: bool) -> list[WarmUpLine]:
    """Warm-ups, the newest first."""
    return [_line(WarmUpLine, row) for row in await gateway.fetch("warming/list", limit, live)]


async def read_status(gateway: Gateway, sender: str | None = None) -> list[QuotaLine]:
    """Live warm-ups today, a line for each quota; of one sender only where one is given."""
    rows = await gateway.fetch("warming/status", None if sender is None else plain(sender))
    return [_line(QuotaLine, row) for row in rows]


async def define(
    database: Database, name: str, steps: Sequence[Step], title: str | None = None, source: str | None = None
) -> int:
    """Define a schedule, or change one of one's own; the number of its days. Raises WarmUpError."""
    return int(await _run(database, "warming/define", name, json.dumps(as_json(steps)), title, source))


async def start(database: Database, wanted: Start) -> int:
    """Begin a warm-up; its number. Raises WarmUpError."""
    return int(
        await _run(
            database, "warming/start", plain(wanted.sender), wanted.schedule, wanted.time_zone, wanted.started_on,
            wanted.refusals_percent, wanted.refusals_least, wanted.hold_all,
        )
    )  # fmt: skip


async def pause(database: Database, sender: str, why: str | None = None) -> None:
    """Hold a sender's mails. Raises WarmUpError."""
    await _run(database, "warming/pause", plain(sender), why)


async def resume(database: Database, sender: str) -> None:
    """Let a paused or halted warm-up go on. Raises WarmUpError."""
    await _run(database, "warming/resume", plain(sender))


async def stop(database: Database, sender: str, why: str | None = None) -> None:
    """End a warm-up before its last day. Raises WarmUpError."""
    await _run(database, "warming/stop", plain(sender), why)


async def _run(database: Database, query: str, *values: Any) -> Any:
    async with database.claims.connection(f"the query {query}") as connection:
        try:
            return await connection.fetchval(database.queries[query], *values)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.NoDataFoundError, asyncpg.DataError) as refusal:
            named = isinstance(refusal, asyncpg.CheckViolationError) and refusal.constraint_name
            hint = (refusal.hint or "").rstrip(".")
            raise WarmUpError(str(named or str(refusal).splitlines()[0]), hint) from None


def _line(kind: type[Any], row: Any) -> Any:
    return kind(*(row[field.name] for field in fields(kind)))
