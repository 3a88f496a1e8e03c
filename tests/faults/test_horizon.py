"""Case 39: a long-open transaction elsewhere keeps vacuum from removing dead entries, for an hour's worth of work."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.looking import LOOK_SHARE, SELDOM_SECONDS
from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.ack import AckWriter, Written
from mailworkers.queue.claim import Claims
from mailworkers.queue.leases import Leases
from mailworkers.queue.states import Sent
from mailworkers.replies import Reply, Stage
from mailworkers.settings import Settings
from tests.faults.conftest import CONNECT_SECONDS, STATEMENT_SECONDS, Measured, Place

JOBS = int(os.environ.get("MAILWORKERS_TEST_HORIZON_JOBS", "100000"))  # the full form has 2,000,000
WARM_UP = 10_000  # claimed and written before, so that the normal time is not that of an empty cache
ROUND = 10_000  # inserted at once, so that the queue stays short while what is dead grows
BATCH = 500
LANES = 20
FLUSH_SECONDS = 30.0
MOST_TIMES_NORMAL = 3
FLOOR_SECONDS = 0.005  # below this a busy machine's noise is larger than what is measured
INSERT = """
INSERT INTO mailworkers.email_jobs (workspace_id, to_email, subject, text_body)
SELECT 'workspace-' || n % $1, 'reader' || n || '@example.org', 'Letter ' || n, 'Hi reader ' || n
FROM generate_series(1, $2::integer) AS n
"""
SENT = Reply(Stage.DATA, 250, "2.0.0", "ok")


@dataclass(slots=True)
class Flow:
    """The dispatcher's statements and the group commits, without mails between them."""

    database: Database
    daemon_id: int
    acks: AckWriter
    book: LaneBook = field(default_factory=LaneBook)
    claims: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    whole_looks: list[float] = field(default_factory=list)
    timed_out: int = 0
    whole_look_at: float = 0.0
    looked_at: float = 0.0

    async def take_all(self, jobs: int) -> None:
        """Claim and write so many, looking for new work as seldom as the dispatcher does."""
        claims = Claims(self.database.claims, 900.0)
        left = jobs
        while left > 0:
            began = time.monotonic()
            if began >= self.whole_look_at:
                try:
                    self.book.renew(await claims.heads(self.book.beyond))
                except DatabaseUnavailable:
                    self.timed_out += 1
                took = time.monotonic() - began
                self.whole_looks.append(took)
                self.whole_look_at = began + max(SELDOM_SECONDS, took / LOOK_SHARE)
            elif not self.looks or began > self.looked_at + self.looks[-1] / LOOK_SHARE or self.book.drained:
                self.book.renew(await claims.heads_beyond(self.book.bounds(), self.book.beyond))
                self.looks.append(time.monotonic() - began)
                self.looked_at = began
            wishes = self.book.plan(lambda _priority: BATCH)
            began = time.perf_counter()
            taken = await claims.claim(wishes, self.daemon_id)
            if len(taken) == BATCH:
                self.claims.append(time.perf_counter() - began)
            self.book.learn(wishes, taken)
            for job in taken:
                self.acks.put(Sent(job, f"<{job.id}@example.org>", SENT))
            assert await self.acks.flush(FLUSH_SECONDS)
            left -= len(taken)


@asynccontextmanager
async def flowing(place: Place) -> AsyncIterator[Flow]:
    settings = Settings(database_url=place.dsn(), instance="test")
    database = await Database.connect(settings, place.dsn())
    registration = await Leases(database.leases, "test", settings.lease_seconds).register()
    acks = AckWriter(
        database.acks, lambda: registration.daemon_id, batch=BATCH, delay=0.01, bound=BATCH, on_written=_fine,
        on_trouble=_failed,
    )  # fmt: skip
    writing = asyncio.create_task(acks.run())
    yield Flow(database, registration.daemon_id, acks)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await database.close()


async def test_case_39_a_long_open_transaction_elsewhere(place: Place, measured: Measured) -> None:
    async with flowing(place) as flow:
        # given claims at their normal speed
        await _through(place.owner, flow, WARM_UP)
        normal = statistics.median(flow.claims)

        # when a transaction elsewhere stays open while an hour's work goes through
        elsewhere = await asyncpg.connect(place.dsn(), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        transaction = elsewhere.transaction(isolation="repeatable_read")
        await transaction.start()
        await elsewhere.fetchval("SELECT count(*) FROM mailworkers.email_daemons")
        flow.claims.clear()
        flow.looks.clear()
        flow.whole_looks.clear()
        await _through(place.owner, flow, JOBS)

        # then claims take as long at its end as they do normally, and so do looks beyond what was claimed
        last = statistics.median(flow.claims[-len(flow.claims) // 10 :])
        look, last_look = (statistics.median(some) for some in (flow.looks[:10], flow.looks[-10:]))
        measured(
            f"case 39: {JOBS} jobs through under a transaction held open: a claim of {BATCH} normally {normal * 1e3:.1f} ms, "
            f"in the last tenth {last * 1e3:.1f} ms; a look beyond the bounds {look * 1e3:.1f} → {last_look * 1e3:.1f} ms; a "
            f"whole look {flow.whole_looks[0] * 1e3:.1f} → {flow.whole_looks[-1] * 1e3:.1f} ms, at a twentieth of the time "
            f"({flow.timed_out} of {len(flow.whole_looks)} ended by their time-out)"
        )
        assert last <= MOST_TIMES_NORMAL * max(normal, FLOOR_SECONDS)
        assert last_look <= MOST_TIMES_NORMAL * max(look, FLOOR_SECONDS)
        await transaction.rollback()
        await elsewhere.close()


async def _through(owner: Any, flow: Flow, jobs: int) -> None:
    for _ in range(0, jobs, ROUND):
        await owner.execute(INSERT, LANES, ROUND)
        await flow.take_all(ROUND)


def _fine(_written: Written) -> None:
    return


def _failed(error: Exception) -> None:
    raise AssertionError(f"results could not be written: {error}")
