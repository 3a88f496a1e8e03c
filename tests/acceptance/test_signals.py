"""A daemon that is told to stop, to hurry, or to read its settings again, as a process under load."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

from tests.acceptance.account import account, all_recorded, insert_mails, recorded
from tests.acceptance.conftest import StartDaemon
from tests.support.measured import Measured
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

MAILS = 3000
MIDDLE = 600
GRACE_SECONDS = 5.0
HURRY_SECONDS = 5.0  # a forced exit waits for nothing but bounded farewells
LONG_GRACE_SECONDS = 60.0
LEASE_SECONDS = 3.0


async def test_sigterm_under_load_sends_nothing_twice(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        daemon = start_daemon(worker_url, sink.port, DRAIN_SECONDS=GRACE_SECONDS)
        await daemon.ready()
        await insert_mails(app_connection, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when it is told to stop
        told = time.monotonic()
        daemon.send(signal.SIGTERM)
        code = await daemon.ended(GRACE_SECONDS + HURRY_SECONDS)
        seconds = time.monotonic() - told

        # then it ends well and in time, with every result written and every other job free at once
        assert code == 0, daemon.output
        assert await recorded(owner) == len(sink.mails) < MAILS
        assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs WHERE status <> 'waiting'") == 0

        # and the next daemon sends what is left, and nothing twice
        at_the_end = len(sink.mails)
        start_daemon(worker_url, sink.port)
        await all_recorded(owner, MAILS)
        found = await account(owner, sink)
        measured(
            f"SIGTERM after {MIDDLE} of {MAILS} mails: ended in {seconds:.2f} s with {at_the_end} sent; "
            f"then lost {found.lost}, sent twice {found.twice}"
        )
        assert (found.mails, found.lost, found.twice, found.strays) == (MAILS, 0, 0, 0)


async def test_a_second_sigint_forces_the_exit(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon, measured: Measured
) -> None:
    swallowed = asyncio.Event()

    async def never_answer_the_dot(talk: Talk) -> None:
        await talk.greet("PIPELINING")
        await talk.envelope()
        await talk.content()
        swallowed.set()

    async with HostileServer(never_answer_the_dot) as relay:
        # given a mail whose reply does not come, and a long grace period
        daemon = start_daemon(worker_url, relay.port, MIN_WORKERS=1, MAX_WORKERS=1, DRAIN_SECONDS=LONG_GRACE_SECONDS)
        await daemon.ready()
        await insert_mails(app_connection, 1)
        await asyncio.wait_for(swallowed.wait(), GRACE_SECONDS)

        # when Ctrl-C comes once, the daemon waits for the mail
        daemon.send(signal.SIGINT)
        await eventually(lambda: "draining" in daemon.output, "it drains")
        assert daemon.process.poll() is None

        # when it comes again, the daemon ends at once and says no more than it must
        told = time.monotonic()
        daemon.send(signal.SIGINT)
        code = await daemon.ended(HURRY_SECONDS)
        measured(f"second SIGINT: ended in {time.monotonic() - told:.2f} s with exit code {code}")
        assert code != 0
        assert "Traceback" not in daemon.output
        assert await recorded(owner) == 0


async def test_sighup_takes_a_new_limit_from_the_settings_file(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a file that allows so little that the mails would take minutes
        file = tmp_path / "mailworkers.toml"
        file.write_text("system_rate_per_second = 2\n")
        daemon = start_daemon(worker_url, sink.port, CONFIG=file)
        await daemon.ready()
        await insert_mails(app_connection, MIDDLE)
        await eventually(lambda: len(sink.mails) >= 2, "mails trickle")
        assert len(sink.mails) < MIDDLE / 10

        # when the limit goes and the daemon is told so
        file.write_text("system_rate_per_second = 0\n")
        daemon.send(signal.SIGHUP)

        # then the rest goes out at once, by the same process
        await all_recorded(owner, MIDDLE, GRACE_SECONDS * 3)
        assert daemon.process.poll() is None


async def test_sighup_with_a_bad_settings_file_changes_nothing(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon, and a mistake in its settings file
        file = tmp_path / "mailworkers.toml"
        file.write_text("max_workers = 3\n")
        daemon = start_daemon(worker_url, sink.port, CONFIG=file)
        await daemon.ready()
        file.write_text("max_workers = 'many'\n")

        # when it is told to read the file
        daemon.send(signal.SIGHUP)

        # then it says what is wrong and goes on
        await eventually(lambda: "max_workers must" in daemon.output, "it says which setting is bad")
        await insert_mails(app_connection, 10)
        await all_recorded(owner, 10)
        assert "Traceback" not in daemon.output


async def test_a_daemon_that_stood_still_for_longer_than_its_lease_goes_on(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon
) -> None:
    async with Sink() as sink:
        daemon = start_daemon(worker_url, sink.port, LEASE_SECONDS=LEASE_SECONDS, HEARTBEAT_SECONDS=LEASE_SECONDS / 3)
        await daemon.ready()

        # given a daemon that is stopped, as a paused machine is, until nobody holds its lease any more
        daemon.send(signal.SIGSTOP)
        await asyncio.sleep(LEASE_SECONDS + 0.5)

        # when it wakes, then it finds out, takes a new lease and sends
        daemon.send(signal.SIGCONT)
        await insert_mails(app_connection, 1)
        await all_recorded(owner, 1)
        assert sink.message_ids.total() == 1
