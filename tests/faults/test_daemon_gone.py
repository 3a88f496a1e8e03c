"""Cases 5, 8 and 9: daemons that are killed again and again, that freeze beyond their lease, and whose loop is blocked."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
ROUNDS = int(os.environ.get("MAILWORKERS_TEST_KILLS", "10"))  # the full form has 200
MAILS_A_ROUND = 1000
WORKERS = 4
MAX_UNWRITTEN = 100
LIMITS = {"MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS, "MAX_UNWRITTEN": MAX_UNWRITTEN}
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN
LONGEST_LIFE_MAILS = 900  # a daemon is killed within so many mails: in full load, and anywhere in it
MAILS = 2000
MIDDLE = 300
LEASE_SECONDS = 3.0
LEASE = {"LEASE_SECONDS": LEASE_SECONDS, "HEARTBEAT_SECONDS": 1}
TAKEN_OVER_SECONDS = LEASE_SECONDS + 5.0
HOLDS = """
SELECT count(*) FROM mailworkers.email_jobs AS job JOIN mailworkers.email_daemons AS d ON d.id = job.daemon_id
WHERE job.status = 'sending' AND d.instance = $1
"""
ENDED = "SELECT count(*) FROM mailworkers.email_daemons WHERE instance = $1 AND ended_at IS NOT NULL"


async def test_case_5_killed_again_and_again_under_full_load(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    jobs: list[int] = []
    async with Sink(keep_content=False) as sink:
        # given work without end
        for number in range(ROUNDS):
            jobs += await insert(place.owner, MAILS_A_ROUND, first=number * MAILS_A_ROUND + 1)

            # when each daemon is killed at a moment nobody chose
            daemon = start_daemon(place.dsn(), sink.port, INSTANCE="only", **LIMITS)
            goal = len(sink.mails) + chance.randrange(1, LONGEST_LIFE_MAILS)
            await eventually(lambda goal=goal: len(sink.mails) >= goal, "the daemon has sent its share", 30.0)  # type: ignore[misc]
            daemon.kill()

        # then nothing is lost, and the kills together send twice what they may
        last = start_daemon(place.dsn(), sink.port, INSTANCE="only", **LIMITS)
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(twice=ROUNDS * MOST_TWICE), last)
        measured(
            f"case 5: {ROUNDS} kills within {len(jobs)} mails (seed {seed}): lost 0, sent twice {found.twice} "
            f"(at most {ROUNDS * MOST_TWICE} are promised)"
        )


async def test_case_8_frozen_beyond_its_lease(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given two daemons at work, of which one freezes with jobs in hand
        first = start_daemon(place.dsn(), sink.port, INSTANCE="first", **LIMITS, **LEASE)
        second = start_daemon(place.dsn(), sink.port, INSTANCE="second", **LIMITS, **LEASE)
        await first.ready()
        await second.ready()
        jobs = await insert(place.owner, MAILS)

        async def working() -> bool:
            return len(sink.mails) >= MIDDLE and bool(await place.owner.fetchval(HOLDS, "first"))

        await eventually(working, "both work")
        first.send(signal.SIGSTOP)
        try:
            froze = time.monotonic()
            held = await place.owner.fetchval(HOLDS, "first")
            assert held

            # when its lease has ended, then the other one takes over all that it held
            await all_sent(place.owner, jobs, TAKEN_OVER_SECONDS)
            seconds = time.monotonic() - froze
            sent = len(sink.mails)
            records = await _records(place.owner)
        finally:
            first.send(signal.SIGCONT)

        # and when it wakes, then its late results change nothing, and it works on under a new lease
        await eventually(lambda: "lease lost" in first.output, "it notices")
        await first.ready()
        assert await _records(place.owner) == records
        more = await insert(place.owner, MIDDLE, first=MAILS + 1)
        await all_sent(place.owner, more)
        found = await hold(
            place.owner, sink, jobs + more, Bound(twice=MOST_TWICE), first, second, lease_seconds=LEASE_SECONDS
        )
        measured(
            f"case 8: frozen with {held} jobs, all sent {seconds:.2f} s later (lease {LEASE_SECONDS} s); lost 0, sent "
            f"twice {found.twice} (at most {MOST_TWICE}), {len(sink.mails) - sent - MIDDLE} of them by the one that woke"
        )


async def _records(owner: Any) -> list[Any]:
    return list(await owner.fetch("SELECT * FROM mailworkers.email_sends ORDER BY job_id"))
