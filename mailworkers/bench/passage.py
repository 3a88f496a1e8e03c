"""One run through the queue: insert, claim, compose, send, ack, and the account of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from mailworkers.bench.child import START_SECONDS, BenchFailed, Child, child
from mailworkers.bench.figures import Passage, Percentiles, Speed
from mailworkers.bench.inserting import application
from mailworkers.bench.mails import Mails
from mailworkers.bench.plan import Plan
from mailworkers.bench.relay import Relay
from mailworkers.bench.schema import own_schema
from mailworkers.db.pool import connect_once
from mailworkers.db.queries import Queries
from mailworkers.settings import Settings

LOOK_SECONDS = 0.02  # how often the record is asked; also how much later than the last commit the clock may stop
STALL_SECONDS = 30.0  # no further mail recorded for so long: the run has failed
ACCOUNT_SECONDS = 60.0  # to count millions of rows

Progressed = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where it is measured: the settings of the person who asked, the database, and the relay."""

    settings: Settings
    dsn: str
    relay: Relay
    plan: Plan

    def order(self, schema: str, **what: object) -> dict[str, object]:
        """What a daemon is told to do."""
        settings = self.relay.overrides(self.settings, self.plan.workers) | {"db_schema": schema}
        return {
            "settings": settings, "dsn": self.dsn, "metrics": self.plan.metrics, "null_transport": False, "tell": False,
            **what,
        }  # fmt: skip


async def measure_passage(ground: Ground, progressed: Progressed, *, smtp: bool = True) -> Passage:
    """Send all mails through a queue of their own.

    Args:
        ground: where.
        progressed: told how many are recorded, many times a second.
        smtp: False lets a transport accept every mail at once.

    Raises:
        BenchFailed: a process ended, nothing went on, or not every mail is accounted for.
        DatabaseError: as every call.
    """
    plan, mails = ground.plan, Mails(ground.plan.size, html=ground.plan.html)
    async with own_schema(ground.settings, ground.dsn) as schema, AsyncExitStack() as stack:
        owner = await connect_once(ground.settings, ground.dsn, "bench")
        stack.callback(owner.terminate)
        app = await stack.enter_async_context(application(ground.dsn, schema, mails))
        order = ground.order(schema, null_transport=not smtp)
        async with AsyncExitStack() as running:
            daemons = [await running.enter_async_context(child("daemon", "daemon", order)) for _ in range(plan.daemons)]
            await asyncio.gather(*(daemon.hear(START_SECONDS) for daemon in daemons))
            before = await ground.relay.count()
            copying = time.monotonic()
            async with app.copied(plan.jobs):
                copied = time.monotonic()
                begun = await _ask_all(daemons, "measure")
            began = time.monotonic()
            committed = await owner.fetchval(Queries(schema)["bench/clock"])
            await _until_recorded(owner, Queries(schema)["bench/ended"], plan.jobs, progressed)
            seconds = time.monotonic() - began
            ended = await _ask_all(daemons, "measured")
        after = await ground.relay.count()
        account = await owner.fetchrow(Queries(schema)["bench/account"], committed, timeout=ACCOUNT_SECONDS)
    arrived = after - before if smtp and before is not None and after is not None else None
    _must_agree(account, arrived, plan.jobs)
    speed = Speed(account["sent"], seconds, _difference(begun, ended, "cpu_seconds"))
    return Passage(
        speed=speed,
        copy_seconds=copied - copying,
        stages=_stages(speed, begun, ended),
        statements=int(_difference(begun, ended, "statements")),
        peak_bytes=max(int(one["peak_bytes"]) for one in ended),
        insert_to_sent=Percentiles(*account["insert_to_sent"]),
        arrived=arrived,
    )


def _must_agree(account: Mapping[str, Any], arrived: int | None, jobs: int) -> None:
    """Raises BenchFailed unless each mail is recorded as sent, and arrived, once."""
    sent = account["sent"]
    if sent == jobs and arrived in (None, jobs) and not (account["not_sent"] or account["left_over"]):
        return
    counts = [
        f"{sent:,} recorded as sent",
        f"{account['not_sent']:,} as not sent",
        f"{account['left_over']:,} left over",
    ]
    if arrived is not None:
        counts.insert(0, f"{arrived:,} arrived")
    why = f"; the relay said: {account['why_not']}" if account["why_not"] else ""
    raise BenchFailed(f"of {jobs:,} mails, {', '.join(counts)}{why}")


async def _ask_all(daemons: Sequence[Child], command: str) -> list[dict[str, Any]]:
    return await asyncio.gather(*(daemon.ask(command) for daemon in daemons))


async def _until_recorded(owner: Any, query: str, jobs: int, progressed: Progressed) -> None:
    """Return once so many mails are committed with their end, as another session sees it. Raises BenchFailed."""
    last, seen = time.monotonic(), 0
    while seen < jobs:
        ended = await owner.fetchval(query)
        if ended > seen:
            last, seen = time.monotonic(), ended
            progressed(seen)
        elif time.monotonic() - last > STALL_SECONDS:
            raise BenchFailed(
                f"only {seen:,} of {jobs:,} mails have ended, and no other for {STALL_SECONDS:.0f} s",
                "What the daemon says is above",
            )
        if seen < jobs:
            await asyncio.sleep(LOOK_SECONDS)


def _difference(begun: Sequence[Mapping[str, Any]], ended: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(float(one[name]) for one in ended) - sum(float(one[name]) for one in begun)


def _stages(speed: Speed, begun: Sequence[Mapping[str, Any]], ended: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """CPU microseconds a mail by stage: each daemon's shares of the CPU time that it used."""
    stages: dict[str, float] = {}
    for start, end in zip(begun, ended, strict=True):
        used = float(end["cpu_seconds"]) - float(start["cpu_seconds"])
        for stage, share in end["stages"].items():
            stages[stage] = stages.get(stage, 0.0) + share * used / max(1, speed.mails) * 1e6
    return stages
