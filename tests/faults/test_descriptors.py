"""Case 41: no file descriptors are left to the daemon."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 2000
MIDDLE = 300
ASK_SECONDS = 5.0
NOTICED_SECONDS = 10.0
BACK_SECONDS = 15.0


async def test_case_41_file_descriptors_exhausted(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with (
        Sink(keep_content=False) as sink,
        Proxy(place.cluster.port) as proxy,
        httpx.AsyncClient(timeout=ASK_SECONDS) as observer,
    ):
        # given a daemon in the middle of its work, and an observer whose connection stands
        daemon = start_daemon(place.dsn(proxy.port), sink.port)
        await daemon.ready()
        page = f"http://127.0.0.1:{daemon.page}/readyz"
        assert (await observer.get(page)).status_code == 200
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when it may open nothing any more, and loses its connections with the database
        pid = daemon.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_lowest_free(pid), limits[1]))
        proxy.cut()

        async def unready() -> bool:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (_lowest_free(pid), limits[1]))
            return (await observer.get(page)).status_code == 503

        # then it is not ready, and backs off
        await eventually(unready, "/readyz says that nothing goes", NOTICED_SECONDS)
        assert daemon.process.poll() is None
        sent = len(sink.mails)

        # and when it may open files again, then it goes on
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        freed = time.monotonic()
        await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
        seconds = time.monotonic() - freed
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), daemon)
        measured(
            f"case 41: no descriptors after {sent} mails; ready {seconds:.2f} s after there were some; "
            f"lost 0, sent twice {found.twice}"
        )


def _lowest_free(pid: int) -> int:
    """The lowest number that no open file has: a limit there lets nothing be opened."""
    taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)
