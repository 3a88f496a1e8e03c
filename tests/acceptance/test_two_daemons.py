"""Daemons that are killed in the middle: every mail goes out, few of them twice, and soon (design §3.1, §3.2, §3.5)."""

from __future__ import annotations

from typing import Any

from mailworkers.transports.base import MOST_AT_ONCE
from tests.acceptance.account import account, all_recorded, insert_mails
from tests.acceptance.conftest import StartDaemon
from tests.support.daemon import DaemonProcess
from tests.support.measured import Measured
from tests.support.sink import Sink
from tests.support.waiting import eventually

MAILS = 3000
MIDDLE = 600  # mails after which the daemon is killed: with those it holds, well before the end
WORKERS = 4
MAX_UNWRITTEN = 100
PROMISED_SECONDS = 5.0  # from the kill until its jobs run again
LIMITS = {"MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS, "MAX_UNWRITTEN": MAX_UNWRITTEN}
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN  # what the sessions have, and what is not recorded yet

HELD = """
SELECT job.id FROM mailworkers.email_jobs AS job JOIN mailworkers.email_daemons AS daemon ON daemon.id = job.daemon_id
WHERE daemon.instance = $1 AND job.status = 'sending'
"""


async def test_a_killed_daemons_mails_go_out_by_another_one(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given two daemons at work on the same mails
        first = start_daemon(worker_url, sink.port, INSTANCE="first", **LIMITS)
        second = start_daemon(worker_url, sink.port, INSTANCE="second", **LIMITS)
        await first.ready()
        await second.ready()
        await insert_mails(app_connection, MAILS)
        await _in_the_middle(owner, sink, "first")

        # when one is killed
        held, killed_at = await _kill(owner, first, "first")

        # then the other sends all that is left, within the promised time
        await all_recorded(owner, MAILS)
        seconds = await _seconds_until_done(owner, held, killed_at)
        found = await account(owner, sink)
        measured(
            f"two daemons, one killed after {MIDDLE} of {MAILS} mails: it held {len(held)}, all done {seconds:.2f} s "
            f"after the kill; lost {found.lost}, sent twice {found.twice} (at most {MOST_TWICE} are promised)"
        )
        assert (found.mails, found.lost, found.strays) == (MAILS, 0, 0)
        assert found.twice <= MOST_TWICE
        assert seconds <= PROMISED_SECONDS
        assert second.process.poll() is None, second.output


async def test_the_only_daemon_goes_on_after_a_kill_where_it_was(
    app_connection: Any, owner: Any, worker_url: str, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon that is killed in the middle of its work
        only = start_daemon(worker_url, sink.port, INSTANCE="only", **LIMITS)
        await only.ready()
        await insert_mails(app_connection, MAILS)
        await _in_the_middle(owner, sink, "only")
        held, _ = await _kill(owner, only, "only")

        # when it is started again
        again = start_daemon(worker_url, sink.port, INSTANCE="only", **LIMITS)
        await again.ready()
        ready_at = await owner.fetchval("SELECT clock_timestamp()")

        # then it sends all that is left, within the promised time
        await all_recorded(owner, MAILS)
        seconds = await _seconds_until_done(owner, held, ready_at)
        found = await account(owner, sink)
        measured(
            f"the only daemon, killed after {MIDDLE} of {MAILS} mails and started again: it held {len(held)}, all done "
            f"{seconds:.2f} s after it was ready; lost {found.lost}, sent twice {found.twice} (at most {MOST_TWICE})"
        )
        assert (found.mails, found.lost, found.strays) == (MAILS, 0, 0)
        assert found.twice <= MOST_TWICE
        assert seconds <= PROMISED_SECONDS


async def _in_the_middle(owner: Any, sink: Sink, instance: str) -> None:
    """Wait until `MIDDLE` mails came and this daemon holds some of the others."""

    async def working() -> bool:
        return len(sink.mails) >= MIDDLE and bool(await owner.fetch(HELD, instance))

    await eventually(working, f"the daemon {instance} works")


async def _kill(owner: Any, daemon: DaemonProcess, instance: str) -> tuple[list[int], Any]:
    """kill -9; what it held at its end, and when that was by the database's clock."""
    daemon.kill()
    killed_at = await owner.fetchval("SELECT clock_timestamp()")
    held = [row["id"] for row in await owner.fetch(HELD, instance)]
    assert held, "it held nothing when it was killed: there is nothing to show"
    return held, killed_at


async def _seconds_until_done(owner: Any, jobs: list[int], since: Any) -> float:
    """Seconds from `since` until the last of these was recorded as sent."""
    question = """
        SELECT extract(epoch FROM max(finished_at) - $2::timestamptz)::float8
        FROM mailworkers.email_sends WHERE job_id = ANY ($1::bigint[])
    """
    return float(await owner.fetchval(question, jobs, since))
