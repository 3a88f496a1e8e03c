"""Case 20: the database's disk is full (SQLSTATE 53100)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from mailworkers.db.embedded.account import account_for
from tests.faults.conftest import CONNECT_SECONDS, STATEMENT_SECONDS, Measured
from tests.faults.invariants import Bound, all_sent, hold, insert, witnessed
from tests.support.cluster import Cluster, cluster_folder
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
DISK = "120m"  # a fresh cluster with one database of ours takes about 60 MB
MAILS = 4000
MIDDLE = 300
NOTICED_SECONDS = 30.0
BACK_SECONDS = 10.0
MOUNT_SECONDS = 30.0
BLOCK = bytes(64 * 1024)
MAX_UNWRITTEN = 100


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk in memory."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "mailworkers-test", disk], check=True, timeout=MOUNT_SECONDS
    )
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True, timeout=MOUNT_SECONDS)


@pytest.mark.mount
async def test_case_20_database_disk_full(start_daemon: StartDaemon, measured: Measured) -> None:
    with cluster_folder() as folder, small_disk(folder) as disk:
        # given a database whose tables lie on a small disk; the log of changes lies elsewhere, as PostgreSQL ends without it
        data = disk / "data"
        wal = folder / "wal"
        for own in (data, wal):
            own.mkdir()
            account_for(None).own(own)
        cluster = Cluster(folder, data=data, wal=wal, autovacuum="off")
        await cluster.start()
        try:
            async with Sink(keep_content=False) as sink:
                name = await cluster.database()
                owner = await asyncpg.connect(
                    cluster.dsn(name), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS
                )
                daemon = start_daemon(cluster.dsn(name), sink.port, MAX_UNWRITTEN=MAX_UNWRITTEN)
                await daemon.ready()
                jobs = await insert(owner, MAILS)
                await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

                # when the disk is full, then results cannot be written, and nothing is claimed any more
                async with witnessed(daemon) as witness:
                    filler = disk / "filler"
                    _fill(filler)
                    await eventually(
                        lambda: witness.statuses("results")["fail"] > 0, "/health names results", NOTICED_SECONDS
                    )
                    assert "53100" in daemon.output
                    sent = len(sink.mails)

                    # and when there is room again, then the same results are written, and all goes on
                    filler.unlink()
                    freed = time.monotonic()
                    await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
                    seconds = time.monotonic() - freed
                assert not witness.silent
                await all_sent(owner, jobs)
                found = await hold(owner, sink, jobs, Bound(), daemon)
                owner.terminate()
                measured(
                    f"case 20: disk full after {sent} mails; ready {seconds:.2f} s after there was room; "
                    f"lost 0, sent twice {found.twice}"
                )
        finally:
            cluster.close()


def _fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(BLOCK)
        except OSError:
            return
