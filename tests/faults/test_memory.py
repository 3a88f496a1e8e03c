"""Case 10: memory runs out under a daemon: it goes on, or it ends and the next one goes on; nothing is lost, nothing hangs."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
WORKERS = 4
MAX_UNWRITTEN = 100
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN
SETTINGS = {
    "MIN_WORKERS": WORKERS,
    "MAX_WORKERS": WORKERS,
    "MAX_UNWRITTEN": MAX_UNWRITTEN,
    "RETRY_MINUTES": 0.05,
    "DATABASE_TIMEOUT_SECONDS": 3,  # an answer that found no room in memory is not waited for much longer
    "DRAIN_SECONDS": 2,
}
BEFORE = 200
SMALL = 400
LARGE = 20
LARGE_OCTETS = 4 * 1024 * 1024
MIB = 1024 * 1024
SIGN_SECONDS = 15.0
END_SECONDS = 30.0  # a drain, and the time that last results get
LIVE = "SELECT count(*) FROM mailworkers.email_jobs"


@pytest.mark.parametrize("room", [8, 60])
async def test_case_10_out_of_memory(room: int, place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon at work that may have no more than so many MiB beyond what it has
        daemon = start_daemon(place.dsn(), sink.port, **SETTINGS)
        await daemon.ready()
        jobs = await insert(place.owner, BEFORE)
        await all_sent(place.owner, jobs)
        pid = daemon.process.pid
        free = resource.prlimit(pid, resource.RLIMIT_AS)
        resource.prlimit(pid, resource.RLIMIT_AS, (_address_space(pid) + room * MIB, free[1]))

        # when large mails take more
        jobs += await insert(place.owner, LARGE, first=1001, octets=LARGE_OCTETS)
        jobs += await insert(place.owner, SMALL, first=2001)

        async def over() -> bool:
            return daemon.process.poll() is not None or await place.owner.fetchval(LIVE) == 0

        async def trouble() -> bool:
            return "memory" in daemon.output.lower() or await over()

        await eventually(trouble, "memory runs out", SIGN_SECONDS)
        met = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, free)

        # then it sends everything once there is memory again, or it ends, so that the next one does
        await eventually(over, "all is sent, or the daemon has ended", END_SECONDS)
        seconds = time.monotonic() - met
        code = daemon.process.poll()
        following = daemon if code is None else start_daemon(place.dsn(), sink.port, **SETTINGS)
        assert code != 0, daemon.output
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(twice=MOST_TWICE, attempts=len(jobs)))
        await eventually(following.is_ready, "the daemon is ready")
        measured(
            f"case 10, {room} MiB: {'went on' if code is None else f'ended with {code}'} within {seconds:.2f} s; lost 0, sent "
            f"twice {found.twice} (at most {MOST_TWICE}), attempts spent {found.attempts}"
        )


def _address_space(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmSize:"))
    return int(kib) * 1024
