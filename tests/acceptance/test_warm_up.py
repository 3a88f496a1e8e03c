"""Daemons that are killed while a sender is warmed up: no more goes out on a day than its quota."""

from __future__ import annotations

from typing import Any

import asyncpg

from mailworkers.warming.day import lease_size
from tests.acceptance.conftest import StartDaemon
from tests.support import warm_ups
from tests.support.daemon import DaemonProcess
from tests.support.jobs import insert
from tests.support.measured import Measured
from tests.support.sink import Sink
from tests.support.waiting import eventually

QUOTA, TOMORROW, MAILS = 1500, 800, 2500
WORKERS, WINDOW = 4, 8
LIMITS = {"MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS, "FROM_EMAIL": f"news@{warm_ups.SENDER}"}
SETTLED_SECONDS = 60.0
# What a kill may cost the day: what the daemon had leased, and the mails on their way that the relay never got.
LOST_BY_A_KILL = lease_size(QUOTA) + WORKERS * WINDOW


async def test_kills_never_make_a_day_too_long(
    owner: Any, worker_url: str, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given two daemons at work on more mails than their sender may send today
        await warm_ups.start(owner, QUOTA, TOMORROW, 10**6)
        first = start_daemon(worker_url, sink.port, INSTANCE="first", **LIMITS)
        second = start_daemon(worker_url, sink.port, INSTANCE="second", **LIMITS)
        await first.ready()
        await second.ready()
        await insert(owner, MAILS, campaign_id=7)

        # when both are killed, one after the other, and a third goes on
        await eventually(lambda: len(sink.mails) >= 300, "the first mails are out")
        first.kill()
        await eventually(lambda: len(sink.mails) >= 700, "more mails are out")
        second.kill()
        third = start_daemon(worker_url, sink.port, INSTANCE="third", **LIMITS)
        await _settled(owner, third)

        # then the relay has seen no more than the quota, and little less
        today = len(sink.mails)
        measured(f"two of three daemons killed, a day's quota of {QUOTA}: the relay got {today} mails")
        assert QUOTA - 2 * LOST_BY_A_KILL <= today <= QUOTA
        (granted,) = [row["granted"] for row in await owner.fetch("SELECT granted FROM mailworkers.warm_up_status")]
        assert today <= granted <= QUOTA

        # and the next day the same holds
        third.kill()
        await warm_ups.a_day_passes(owner)
        fourth = start_daemon(worker_url, sink.port, INSTANCE="third", **LIMITS)
        await _settled(owner, fourth)
        assert TOMORROW - LOST_BY_A_KILL <= len(sink.mails) - today <= TOMORROW


async def _settled(owner: asyncpg.Connection, daemon: DaemonProcess) -> None:
    async def settled() -> bool:
        assert daemon.process.poll() is None, daemon.output
        return not await owner.fetchval(
            "SELECT EXISTS (SELECT FROM mailworkers.email_jobs WHERE status = 'sending' OR scheduled_at <= now())"
        )

    await eventually(settled, "every mail was sent or waits for tomorrow", SETTLED_SECONDS)
