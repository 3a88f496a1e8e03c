"""How long a single mail takes while the daemon is idle, and what an idle daemon costs."""

from __future__ import annotations

import asyncio
import random

from mailworkers.bench.child import START_SECONDS, BenchFailed, child
from mailworkers.bench.figures import Latency, Percentiles
from mailworkers.bench.inserting import application
from mailworkers.bench.mails import Mails
from mailworkers.bench.passage import Ground, Progressed
from mailworkers.bench.plan import IDLE_SECONDS, LATENCY_INSERTS
from mailworkers.bench.schema import own_schema

# Between two inserts, so that the daemon has settled again and the inserts keep no step with its timers.
PAUSE_SECONDS = (0.02, 0.06)
CALM_SECONDS = 2.0  # after the first mail, until everything has settled


async def measure_latency(ground: Ground, progressed: Progressed) -> Latency:
    """Insert one mail after the other, each when the last one's was accepted.

    Raises:
        BenchFailed: a process ended, or a mail was not accepted in time.
        DatabaseError: as every call.
    """
    mails = Mails(ground.plan.size, html=ground.plan.html)
    async with (
        own_schema(ground.settings, ground.dsn) as schema,
        application(ground.dsn, schema, mails) as app,
        child("daemon", "daemon", ground.order(schema, tell=True)) as daemon,
    ):
        await daemon.hear(START_SECONDS)

        async def send(number: int) -> float:
            committed = await app.insert_one(number)
            said = await daemon.hear()
            if not said["accepted"]:
                raise BenchFailed("the relay did not take a single mail while the daemon was idle")
            return max(0.0, float(said["at"]) - committed)

        await send(0)  # opens a connection
        await asyncio.sleep(CALM_SECONDS)
        before = float((await daemon.ask("usage"))["cpu_seconds"])
        await asyncio.sleep(IDLE_SECONDS)
        used = float((await daemon.ask("usage"))["cpu_seconds"]) - before
        waits = []
        for number in range(1, LATENCY_INSERTS + 1):
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 -- jitter, not a secret
            waits.append(await send(number))
            progressed(number)
    return Latency(LATENCY_INSERTS, Percentiles.of(waits), used / IDLE_SECONDS * 100)
