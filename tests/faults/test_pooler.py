"""Case 42: Debian's pgbouncer in transaction mode between the daemon and PostgreSQL."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import pytest

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.cluster import cluster_folder
from tests.support.daemon import DaemonProcess
from tests.support.pgbouncer import PROGRAM, PgBouncer
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 1500
MIDDLE = 300
FEW = 20
IDLE_PROMPT_SECONDS = 2.0  # by LISTEN past the pooler, while polling comes once a minute
LEASE_SECONDS = 4.0
AFTER_LEASE_SECONDS = 6.0  # two sweeps, and the mails
WORKERS = 4
MAX_UNWRITTEN = 100
SETTINGS = {"LEASE_SECONDS": LEASE_SECONDS, "HEARTBEAT_SECONDS": 1, "MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS,
            "MAX_UNWRITTEN": MAX_UNWRITTEN}  # fmt: skip
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="needs Debian's package pgbouncer"),
]


async def test_case_42_behind_pgbouncer_by_polling(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    with cluster_folder() as folder, PgBouncer(place.cluster, folder) as pooler:
        async with Sink(keep_content=False) as sink:
            # given two daemons that know of nothing but the pooler
            first = start_daemon(pooler.dsn(place.database), sink.port, INSTANCE="first", **SETTINGS)
            second = start_daemon(pooler.dsn(place.database), sink.port, INSTANCE="second", **SETTINGS)
            await first.ready()
            await second.ready()

            # when there is work, and one of them is killed
            jobs = await insert(place.owner, MAILS)
            await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")
            first.kill()
            killed = time.monotonic()

            # then the other sends all, what the dead one held once its lease has ended
            await all_sent(place.owner, jobs)
            seconds = time.monotonic() - killed
            found = await hold(place.owner, sink, jobs, Bound(twice=MOST_TWICE), second, lease_seconds=LEASE_SECONDS)
            assert "prepared statement" not in second.output
            measured(
                f"case 42: two daemons behind pgbouncer, one killed: all sent {seconds:.2f} s later "
                f"(lease {LEASE_SECONDS} s); lost 0, sent twice {found.twice}"
            )


async def test_case_42_listening_past_pgbouncer(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    with cluster_folder() as folder, PgBouncer(place.cluster, folder) as pooler:
        async with Sink(keep_content=False) as sink:
            # given an idle daemon with a direct way to the database for its session, which hardly ever polls
            daemon = start_daemon(
                pooler.dsn(place.database), sink.port, DIRECT_DATABASE_URL=place.dsn(), POLL_SECONDS=60
            )
            await daemon.ready()
            first = await insert(place.owner, FEW)
            await all_sent(place.owner, first)

            # when mails are inserted, then it hears of them
            second = await insert(place.owner, FEW, first=FEW + 1)
            began = time.monotonic()
            await all_sent(place.owner, second, IDLE_PROMPT_SECONDS)
            seconds = time.monotonic() - began
            found = await hold(place.owner, sink, first + second, Bound(), daemon)
            measured(
                f"case 42: LISTEN past pgbouncer: mails out {seconds:.2f} s after the insert; sent twice {found.twice}"
            )


async def test_case_42_the_only_daemon_behind_pgbouncer_is_killed(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    with cluster_folder() as folder, PgBouncer(place.cluster, folder) as pooler:
        async with Sink(keep_content=False) as sink:
            # given a daemon that holds jobs, with no session that would show its end
            first = start_daemon(pooler.dsn(place.database), sink.port, **SETTINGS)
            await first.ready()
            jobs = await insert(place.owner, 4 * MAILS)
            held = "SELECT count(*) FROM mailworkers.email_jobs WHERE status = 'sending'"

            async def holds() -> bool:
                return len(sink.mails) >= MIDDLE and bool(await place.owner.fetchval(held))

            await eventually(holds, "it holds jobs")

            # when it is killed and started again, then the new one has to watch for a lease before it takes them
            first.kill()
            killed, left = time.monotonic(), await place.owner.fetchval(held)
            again = start_daemon(pooler.dsn(place.database), sink.port, **SETTINGS)
            await again.ready()
            started = time.monotonic()
            await all_sent(place.owner, jobs)
            now = time.monotonic()
            assert now - started < LEASE_SECONDS + AFTER_LEASE_SECONDS
            found = await hold(place.owner, sink, jobs, Bound(twice=MOST_TWICE), again, lease_seconds=LEASE_SECONDS)
            measured(
                f"case 42: the only daemon behind pgbouncer killed with {left} jobs and started again: all sent "
                f"{now - killed:.2f} s after the kill, {now - started:.2f} s after the start (lease {LEASE_SECONDS} s); "
                f"lost 0, sent twice {found.twice}"
            )
