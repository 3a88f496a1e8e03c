"""Case 40: two versions of the daemon during a migration."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailworkers.daemon.schema_watch import INTERVAL_SECONDS
from mailworkers.db.migrate import ENDS_OLDER
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.daemon import DaemonProcess, environment
from tests.support.embedded import REPOSITORY, wheel_folders
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 3000
MIDDLE = 300
MIGRATION_SECONDS = 60.0
EXIT_SECONDS = INTERVAL_SECONDS + 10.0
EX_CONFIG = 78
# All that a migration may do while older daemons go on.
ADDS = """
ALTER TABLE mailworkers.email_jobs ADD COLUMN colour text NOT NULL DEFAULT 'blue';
ALTER TABLE mailworkers.email_sends ADD COLUMN colour text;
ALTER TABLE mailworkers.email_daemons ADD COLUMN colour text;
CREATE INDEX email_jobs_colour ON mailworkers.email_jobs (colour) WHERE status = 'paused';
CREATE TABLE mailworkers.colours (colour text PRIMARY KEY);
"""
ENDS = f"{ENDS_OLDER}\nALTER TABLE mailworkers.email_jobs ALTER COLUMN colour SET DEFAULT 'red';\n"


class Newer:
    """A later version: this one with migrations more, as another host would have it installed.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("mailworkers", "sql"):
            shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))

    @property
    def variables(self) -> dict[str, str]:
        """What makes a command run this version."""
        return {"PYTHONPATH": os.pathsep.join([str(self._folder), *wheel_folders()])}

    def migrate(self, dsn: str, name: str, sql: str) -> None:
        """Run its command, after one more migration was added."""
        (self._folder / "sql" / "migrations" / f"{name}.sql").write_text(sql)
        subprocess.run(
            [sys.executable, "-m", "mailworkers", "migrate"],
            env={**environment(DATABASE_URL=dsn), **self.variables},
            cwd=self._folder,
            check=True,
            capture_output=True,
            timeout=MIGRATION_SECONDS,
        )


@pytest.fixture
def newer(tmp_path: Path) -> Newer:
    return Newer(tmp_path / "newer")


async def test_case_40_two_versions_during_a_migration(
    place: Place, start_daemon: StartDaemon, newer: Newer, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon of this version in the middle of its work
        old = start_daemon(place.dsn(), sink.port, INSTANCE="old")
        await old.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when a later version migrates, and lets older daemons go on
        newer.migrate(place.dsn(), "0901_adds", ADDS)
        jobs += await insert(place.owner, MAILS, first=len(jobs) + 1)

        # then it does, beside a daemon of the later version, and says what is to be done
        new = start_daemon(place.dsn(), sink.port, newer.variables, INSTANCE="new")
        await new.ready()
        await all_sent(place.owner, jobs)

        async def told() -> bool:
            return "version 901 while this daemon" in str(await old.health())

        await eventually(told, "/health tells of the newer schema")
        await hold(place.owner, sink, jobs, Bound(), old, new)

        # and when a migration ends older daemons in the middle of their work
        new.send(signal.SIGTERM)
        assert await new.ended() == 0
        before = len(sink.mails)
        jobs += await insert(place.owner, 4 * MAILS, first=len(jobs) + 1)
        await eventually(lambda: len(sink.mails) >= before + MIDDLE, "mails flow")
        newer.migrate(place.dsn(), "0902_ends", ENDS)
        migrated = time.monotonic()

        # then it finishes what is on its way, ends with a code that systemd does not start again after, and says why
        assert await old.ended(EXIT_SECONDS) == EX_CONFIG
        seconds = time.monotonic() - migrated
        last = old.output.splitlines()[-1]
        assert "became version 902" in last
        assert "Install the newer mailworkers" in last
        assert "Traceback" not in old.output

        # and the later version sends the rest
        newest = start_daemon(place.dsn(), sink.port, newer.variables, INSTANCE="new")
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), newest)
        measured(
            f"case 40: an adding migration under load: the old one went on beside the new one; an ending one: the old one "
            f"drained and ended with {EX_CONFIG} {seconds:.2f} s later; lost 0, sent twice {found.twice}"
        )
