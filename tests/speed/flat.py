"""Whether the drain rate depends on how many jobs wait: the first mails out of 10,000 against the first out of 1,000,000."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import Any

from mailworkers.bench.child import START_SECONDS, child
from mailworkers.bench.inserting import application
from mailworkers.bench.mails import Mails
from mailworkers.bench.passage import Ground
from mailworkers.bench.schema import own_schema
from mailworkers.db.pool import connect_once
from mailworkers.db.queries import Queries
from tests.speed.ground import MAIL_OCTETS, RUNS, a_database, a_plan, a_relay, main, ratio, show, verdict

FEW = 10_000
MANY = int(os.environ.get("MAILWORKERS_SPEED_JOBS", "1000000"))
FIRST, LAST = (
    1_000,
    9_000,
)  # mails recorded when the clock starts and stops: a start and an end have speeds of their own
LOOK_SECONDS = 0.01
MOST_SECONDS = 120.0
MOST_MEMORY_MIB = 150


class Queue:
    """A schema with jobs in it, and a daemon that is started for some of them at a time."""

    def __init__(self, ground: Ground, schema: str, owner: Any) -> None:
        self._ground = ground
        self._schema = schema
        self._owner = owner
        self.peak_mib = 0.0

    async def add(self, jobs: int) -> None:
        """Insert so many."""
        async with application(self._ground.dsn, self._schema, Mails(MAIL_OCTETS)) as app, app.copied(jobs):
            pass
        await self._owner.execute(f"VACUUM ANALYZE {self._schema}.email_jobs", timeout=600.0)

    async def rate(self) -> float:
        """Mails a second of a daemon that has just begun on what waits."""
        async with child("daemon", "daemon", self._ground.order(self._schema)) as daemon:
            before = await self._recorded()
            await daemon.hear(START_SECONDS)
            began = await self._when(before + FIRST)
            ended = await self._when(before + LAST)
            usage = await daemon.ask("usage")
        self.peak_mib = max(self.peak_mib, int(usage["peak_bytes"]) / 1024**2)
        return (LAST - FIRST) / (ended - began)

    async def _when(self, recorded: int) -> float:
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                if await self._recorded() >= recorded:
                    return time.monotonic()
                await asyncio.sleep(LOOK_SECONDS)

    async def _recorded(self) -> int:
        count: int = await self._owner.fetchval(Queries(self._schema)["bench/ended"])
        return count


async def measure() -> bool:
    """Both queues, side by side, several times."""
    rates: dict[str, list[float]] = {}
    few, many = f"{FEW:,} jobs waiting", f"{MANY:,} jobs waiting"
    async with a_database() as (settings, dsn), a_relay() as relay, AsyncExitStack() as stack:
        ground = Ground(settings, dsn, relay, a_plan(FEW))
        owner = await connect_once(settings, dsn, "speed")
        stack.callback(owner.terminate)
        queues = {
            name: Queue(ground, await stack.enter_async_context(own_schema(settings, dsn)), owner)
            for name in (few, many)
        }
        await queues[many].add(MANY)
        for _ in range(RUNS):
            await queues[few].add(FEW)
            for name, queue in queues.items():
                rates.setdefault(name, []).append(await queue.rate())
    show(rates)
    peaks = {name: queue.peak_mib for name, queue in queues.items()}
    print(" · ".join(f"{name}: peak memory {peak:.0f} MiB" for name, peak in peaks.items()))
    return all(
        [
            verdict("many against few", ratio(rates, many, few), 0.9),
            verdict(f"{MOST_MEMORY_MIB} MiB against the peak", MOST_MEMORY_MIB / max(peaks.values()), 1.0),
        ]
    )


if __name__ == "__main__":
    main(measure)
