"""Case 25: the local disk is full. What the daemon says goes nowhere; what it sends goes on."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 2000
MIDDLE = 300
MOUNT_SECONDS = 30.0
BACK_SECONDS = 20.0
FULL_DEVICE = Path("/dev/full")  # full(4): each write is refused with ENOSPC
WORKERS = 4
SETTINGS = {"LOG_LEVEL": "DEBUG", "MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS, "RETRY_MINUTES": "0.01"}
MOST_IN_DOUBT = WORKERS * 8  # mails whose reply a cut connection keeps back; eight may be on the way over each


async def test_case_25_nothing_can_be_written(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink, Proxy(sink.port) as relay:
        # given a daemon none of whose words can be written, from its first on, and which may write no file
        daemon = start_daemon(place.dsn(), relay.port, output=FULL_DEVICE, **SETTINGS)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        await daemon.ready()

        # when it sends, and has something to say, as the relay cuts its connections
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")
        relay.cut()
        await all_sent(place.owner, jobs)

        # then all goes on, and it stops as it should
        found = await hold(place.owner, sink, jobs, Bound(twice=MOST_IN_DOUBT, attempts=MOST_IN_DOUBT), daemon)
        daemon.send(signal.SIGTERM)
        assert await daemon.ended() == 0
        measured(f"case 25 (/dev/full): {found.mails} mails sent; lost 0, sent twice {found.twice}, exit code 0")


@contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    """A disk in memory."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "mailworkers-test", disk], check=True, timeout=MOUNT_SECONDS
    )
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True, timeout=MOUNT_SECONDS)


@pytest.mark.mount
async def test_case_25_the_disk_fills_up(
    place: Place, start_daemon: StartDaemon, tmp_path: Path, measured: Measured
) -> None:
    with tiny_disk(tmp_path) as disk:
        async with Sink(keep_content=False) as sink, Proxy(sink.port) as relay:
            # given a daemon at work, whose words and working directory are on a small disk
            said = disk / "daemon.out"
            daemon = start_daemon(place.dsn(), relay.port, output=said, before=["env", "-C", str(disk)], **SETTINGS)
            await daemon.ready()
            first = await insert(place.owner, MIDDLE)
            await all_sent(place.owner, first)

            # when that disk is full, then it goes on all the same, also where it would say something
            filler = disk / "filler"
            _fill(filler)
            _fill(said)  # there is room left in its last page
            words = said.stat().st_size
            second = await insert(place.owner, MAILS, first=MIDDLE + 1)
            await eventually(lambda: len(sink.mails) >= 2 * MIDDLE, "mails flow")
            relay.refuse()
            relay.cut()

            async def failing() -> bool:
                answer = await daemon.health()
                return bool(answer) and answer["checks"]["relay"][0]["status"] == "fail"

            await eventually(failing, "/health tells the truth", BACK_SECONDS)
            relay.accept()
            await all_sent(place.owner, [*first, *second])
            assert said.stat().st_size == words

            # and when there is room again, then it is heard again
            filler.unlink()
            relay.refuse()
            relay.cut()
            third = await insert(place.owner, 1, first=MIDDLE + MAILS + 1)
            await eventually(lambda: said.stat().st_size > words, "its words are written", BACK_SECONDS)
            relay.accept()
            jobs = [*first, *second, *third]
            await all_sent(place.owner, jobs)
            found = await hold(place.owner, sink, jobs, Bound(twice=MOST_IN_DOUBT, attempts=MOST_IN_DOUBT), daemon)
            measured(f"case 25 (a full disk): {found.mails} mails sent; lost 0, sent twice {found.twice}")


def _fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\n")
        except OSError:
            return
