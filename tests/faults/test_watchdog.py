"""Case 9: the event loop is blocked, by whatever code. The watchdog is not fed, and the lease ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import FREE, START_SECONDS, DaemonProcess, environment, free_port
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 2000
MIDDLE = 300
WORKERS = 4
MAX_UNWRITTEN = 100
LIMITS = {"MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS, "MAX_UNWRITTEN": MAX_UNWRITTEN}
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN
LEASE_SECONDS = 3.0
LEASE = {"LEASE_SECONDS": LEASE_SECONDS, "HEARTBEAT_SECONDS": 1}
BLOCKED_SECONDS = 8.0
WATCHDOG_SECONDS = 2.0
# A daemon whose loop is blocked by SIGUSR1: a signal's handler runs on the loop's own thread, between two of its steps.
BLOCKABLE = f"""
import signal, sys, time
from mailworkers.cli import main
signal.signal(signal.SIGUSR1, lambda *_: time.sleep({BLOCKED_SECONDS}))
sys.argv = ["mailworkers", "run"]
main()
"""
HOLDS = """
SELECT count(*) FROM mailworkers.email_jobs AS job JOIN mailworkers.email_daemons AS d ON d.id = job.daemon_id
WHERE job.status = 'sending' AND d.instance = $1
"""


class Supervisor:
    """What systemd hears: datagrams, with the time of the last feeding."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.fed: list[float] = []

    def heard(self) -> int:
        """Take in what came; how often the watchdog has been fed so far."""
        while True:
            try:
                said = self._socket.recv(4096)
            except BlockingIOError:
                return len(self.fed)
            if b"WATCHDOG=1" in said:
                self.fed.append(time.monotonic())

    def close(self) -> None:
        self._socket.close()


async def test_case_9_event_loop_blocked(
    place: Place, start_daemon: StartDaemon, tmp_path: Path, measured: Measured
) -> None:
    supervisor = Supervisor(tmp_path / "notify")
    async with Sink(keep_content=False) as sink:
        # given two daemons at work, one of them watched by a supervisor
        values = {**FREE, **LIMITS, **LEASE, "DATABASE_URL": place.dsn(), "SMTP_PORT": sink.port, "INSTANCE": "first"}
        watched = {"NOTIFY_SOCKET": str(supervisor.path), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000))}
        blocked = _started(tmp_path, {**environment(**values, HTTP_PORT=free_port()), **watched})
        try:
            await eventually(lambda: supervisor.heard() >= 1, "the watchdog is fed", START_SECONDS)
            second = start_daemon(place.dsn(), sink.port, INSTANCE="second", **LIMITS, **LEASE)
            await second.ready()
            jobs = await insert(place.owner, MAILS)

            async def working() -> bool:
                return len(sink.mails) >= MIDDLE and bool(await place.owner.fetchval(HOLDS, "first"))

            await eventually(working, "both work")

            # when the loop of the first is blocked for longer than watchdog and lease
            supervisor.heard()
            blocked.send_signal(signal.SIGUSR1)
            since = time.monotonic()

            # then the other takes over when the lease has ended, and the supervisor hears nothing
            await all_sent(place.owner, jobs, LEASE_SECONDS + 5.0)
            seconds = time.monotonic() - since
            await eventually(lambda: time.monotonic() - since > 2 * WATCHDOG_SECONDS, "the watchdog's time is over")
            supervisor.heard()
            assert not [moment for moment in supervisor.fed if since + 0.5 < moment < since + 2 * WATCHDOG_SECONDS]

            # and when the loop is free again, then it works on under a new lease
            fed = len(supervisor.fed)
            await eventually(lambda: supervisor.heard() > fed, "the watchdog is fed again")
            found = await hold(place.owner, sink, jobs, Bound(twice=MOST_TWICE), second, lease_seconds=LEASE_SECONDS)
            more = await insert(place.owner, MIDDLE, first=MAILS + 1)
            await all_sent(place.owner, more)
            measured(
                f"case 9: loop blocked for {BLOCKED_SECONDS} s: not fed meanwhile (watchdog {WATCHDOG_SECONDS} s), all sent "
                f"{seconds:.2f} s later (lease {LEASE_SECONDS} s); lost 0, sent twice {found.twice} (at most {MOST_TWICE})"
            )
        finally:
            blocked.kill()
            blocked.wait()
            supervisor.close()


def _started(folder: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "blockable.out").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", BLOCKABLE], env=variables, cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
