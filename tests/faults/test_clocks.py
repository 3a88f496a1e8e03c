"""Case 24: the wall clock of a daemon, or of the database server, is set forward and back by an hour."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import Database
from mailworkers.limits import Ledger
from mailworkers.limits.bucket import Limit
from mailworkers.limits.keys import BucketKey, Period, Scope
from mailworkers.limits.ledger import Ask
from mailworkers.settings import Settings
from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import CONNECT_SECONDS, STATEMENT_SECONDS, Measured, Place
from tests.faults.invariants import Bound, all_sent, hold
from tests.support.cluster import Cluster, cluster_folder
from tests.support.daemon import DaemonProcess
from tests.support.faketime import LIBRARIES, WallClock
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
HOUR = 3600
MAILS = 1000
MIDDLE = 300
WORKERS = 2
MAX_UNWRITTEN = 100
LEASE_SECONDS = 3.0
PROMPT_SECONDS = 2.0  # from a step to the next mails: nothing waits for a lease, a renewal or an hour
SETTINGS = {"LEASE_SECONDS": LEASE_SECONDS, "HEARTBEAT_SECONDS": 1, "MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS,
            "MAX_UNWRITTEN": MAX_UNWRITTEN}  # fmt: skip
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN
TAKEN_OVER_SECONDS = LEASE_SECONDS + 5.0
LIVING = "SELECT array_agg(id ORDER BY id) FROM mailworkers.email_daemons WHERE ended_at IS NULL"
# Due at any time that the clocks here show: what is scheduled goes by the wall clock, whichever way that is set.
INSERT_DUE = """
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body, scheduled_at)
SELECT 'reader' || n || '@example.org', 'Letter ' || n, 'Hi reader ' || n, now() - interval '3 h'
FROM generate_series($1::integer, $2::integer) AS n
RETURNING id
"""
# Whether the first has just renewed: the clock then stands wrong for nearly a heartbeat before it does so again.
JUST_RENEWED = "SELECT now() - renewed_at < interval '0.1 s' FROM mailworkers.email_daemons WHERE instance = 'first'"
HOLDS = """
SELECT count(*) FROM mailworkers.email_jobs AS job JOIN mailworkers.email_daemons AS d ON d.id = job.daemon_id
WHERE job.status = 'sending' AND d.instance = $1
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not LIBRARIES, reason="needs Debian's package libfaketime"),
]


@asynccontextmanager
async def server_under(clock: WallClock, folder: Path) -> AsyncIterator[Place]:
    cluster = Cluster(folder, variables=clock.variables)
    await cluster.start()
    try:
        name = await cluster.database()
        owner = await asyncpg.connect(cluster.dsn(name), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        yield Place(cluster, name, owner)
        owner.terminate()
    finally:
        cluster.close()


async def insert(owner: Any, mails: int, first: int) -> list[int]:
    return [row["id"] for row in await owner.fetch(INSERT_DUE, first, first + mails - 1)]


async def nobody_minds(owner: Any, sink: Sink, jobs: list[int], clock: WallClock, step: int) -> float:
    """Step the clock under load, watch for longer than a lease; seconds until mails flowed again."""
    before = await owner.fetchval(LIVING)
    sent = len(sink.mails)
    jobs += await insert(owner, MAILS, first=len(jobs) + 1)
    await eventually(lambda: len(sink.mails) >= sent + MIDDLE, "mails flow")

    async def just_renewed() -> bool:
        return bool(await owner.fetchval(JUST_RENEWED))

    await eventually(just_renewed, "the first renews")
    clock.step(step)
    stepped, sent = time.monotonic(), len(sink.mails)
    jobs += await insert(owner, MAILS, first=len(jobs) + 1)
    await eventually(lambda: len(sink.mails) > sent + MOST_TWICE, "mails flow on", PROMPT_SECONDS)
    seconds = time.monotonic() - stepped
    await all_sent(owner, jobs)
    await eventually(lambda: time.monotonic() - stepped > LEASE_SECONDS + 1, "a lease's time is over")
    assert await owner.fetchval(LIVING) == before  # the same leases, none ended and none begun
    return seconds


async def test_case_24_the_daemons_wall_clock_steps(
    place: Place, start_daemon: StartDaemon, tmp_path: Path, measured: Measured
) -> None:
    clock = WallClock(tmp_path)
    async with Sink(keep_content=False) as sink:
        # given two daemons, of which one goes by a clock of its own
        first = start_daemon(place.dsn(), sink.port, clock.variables, INSTANCE="first", **SETTINGS)
        second = start_daemon(place.dsn(), sink.port, INSTANCE="second", **SETTINGS)
        await first.ready()
        await second.ready()

        # when that is set forward, and back to before it was true, then neither loses a lease, and nothing goes twice
        jobs: list[int] = []
        seconds = [await nobody_minds(place.owner, sink, jobs, clock, step) for step in (HOUR, -HOUR)]
        found = await hold(place.owner, sink, jobs, Bound(), first, second, lease_seconds=LEASE_SECONDS)
        assert "lease lost" not in first.output + second.output
        measured(
            f"case 24: a daemon's clock +1 h and -1 h: mails flowed on after {max(seconds):.2f} s, no lease ended; "
            f"lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )


async def test_case_24_the_servers_wall_clock_steps(start_daemon: StartDaemon, measured: Measured) -> None:
    with cluster_folder() as folder:
        clock = WallClock(folder)
        async with server_under(clock, folder) as place, Sink(keep_content=False) as sink:
            # given two daemons at work on a server
            first = start_daemon(place.dsn(), sink.port, INSTANCE="first", **SETTINGS)
            second = start_daemon(place.dsn(), sink.port, INSTANCE="second", **SETTINGS)
            await first.ready()
            await second.ready()

            # when its clock is set forward, then they end neither each other's leases nor attempts
            jobs: list[int] = []
            forward = await nobody_minds(place.owner, sink, jobs, clock, HOUR)
            back = await nobody_minds(place.owner, sink, jobs, clock, -HOUR)
            assert "lease lost" not in first.output + second.output
            assert "jobs taken back" not in first.output + second.output
            await hold(place.owner, sink, jobs, Bound(), first, second, lease_seconds=LEASE_SECONDS)

            # and when one freezes at the moment at which the clock is set back, then its lease ends in time all the same
            clock.step(0)
            jobs += await insert(place.owner, MAILS, first=len(jobs) + 1)

            async def working() -> bool:
                return bool(await place.owner.fetchval(HOLDS, "first"))

            await eventually(working, "the first works")
            first.send(signal.SIGSTOP)
            clock.step(-HOUR)
            froze = time.monotonic()
            held = await place.owner.fetchval(HOLDS, "first")
            await all_sent(place.owner, jobs, TAKEN_OVER_SECONDS)
            seconds = time.monotonic() - froze
            first.send(signal.SIGCONT)
            await eventually(lambda: "lease lost" in first.output, "it notices")
            await first.ready()
            found = await hold(
                place.owner, sink, jobs, Bound(twice=MOST_TWICE), first, second, lease_seconds=LEASE_SECONDS
            )
            measured(
                f"case 24: the server's clock +1 h: mails flowed on after {forward:.2f} s, -1 h: {back:.2f} s, no lease "
                f"ended, lost 0, sent twice 0; frozen with {held} jobs as it stepped back: all sent {seconds:.2f} s later "
                f"(lease {LEASE_SECONDS} s), lost 0, sent twice {found.twice} (at most {MOST_TWICE})"
            )


async def test_case_24_rate_limits_under_the_servers_clock(measured: Measured) -> None:
    key = BucketKey(Scope.SYSTEM, "", Period.MINUTE)
    limit = Limit(600, 60.0)
    with cluster_folder() as folder:
        clock = WallClock(folder)
        async with server_under(clock, folder) as place:
            database = await Database.connect(Settings(instance="test"), place.dsn())
            ledger = Ledger(database.claims)

            async def leased() -> int:
                (grant,) = await ledger.lease([Ask(key, limit, 10 * limit.tokens)])
                return grant.tokens

            # given a bucket that has just been emptied
            assert await leased() == int(limit.capacity)

            # when the clock jumps forward, then one burst comes out of it, not an hour's worth
            clock.step(HOUR)
            burst = await leased()
            assert burst <= limit.capacity
            clock.step(2 * HOUR)
            assert await leased() <= limit.capacity

            # and when it jumps back, then tokens come at their rate, not after hours
            clock.step(-HOUR)
            came = await leased()
            began = time.monotonic()

            async def more() -> bool:
                nonlocal came
                came += await leased()
                return came >= limit.rate

            await eventually(more, "a second's worth of tokens", 5.0)
            seconds = time.monotonic() - began
            assert came <= limit.capacity
            await database.close()
            measured(
                f"case 24: a bucket of {limit.tokens} a minute: {burst} tokens after a step of +1 h (one burst), "
                f"{came} within {seconds:.2f} s after one of -3 h"
            )
