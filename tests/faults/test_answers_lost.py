"""Cases 13 and 14: the connection is lost around a COMMIT, so that nobody on this side knows whether it happened."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.faults.statements import ACK, AFTER, BEFORE, CLAIM, LoseAnswer, Moment
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 1500
LEASE_SECONDS = 6.0  # short, so that a claim that only its lease frees is seen to be freed
SETTINGS = {"LEASE_SECONDS": LEASE_SECONDS, "HEARTBEAT_SECONDS": 2, "MIN_WORKERS": 4, "MAX_WORKERS": 4}
SENDING = "SELECT count(*) FROM mailworkers.email_jobs WHERE status = 'sending'"


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
async def test_case_13_connection_lost_at_the_claims_commit(
    moment: Moment, place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    order = LoseAnswer(CLAIM, moment, times=2)
    async with Sink(keep_content=False) as sink, Proxy(place.cluster.port, order.watch) as proxy:
        # given a daemon whose first two claims lose their connection
        daemon = start_daemon(place.dsn(proxy.port), sink.port, **SETTINGS)
        await daemon.ready()

        # when there is work
        jobs = await insert(place.owner, MAILS)
        began = time.monotonic()
        await eventually(lambda: order.lost == 2, "two claims are lost")

        # then what they took is freed, at the latest by its lease, and every mail leaves once
        await all_sent(place.owner, jobs)
        seconds = time.monotonic() - began
        found = await hold(place.owner, sink, jobs, Bound(), daemon, lease_seconds=LEASE_SECONDS)
        measured(
            f"case 13 ({moment}): 2 claims lost, {len(jobs)} mails done after {seconds:.2f} s (lease {LEASE_SECONDS} s); "
            f"lost 0, sent twice {found.twice}"
        )


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
async def test_case_14_connection_lost_at_the_acks_commit(
    moment: Moment, place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    order = LoseAnswer(ACK, moment, times=3, from_run=2)
    async with Sink(keep_content=False) as sink, Proxy(place.cluster.port, order.watch) as proxy:
        # given a daemon three of whose acks lose their connection
        daemon = start_daemon(place.dsn(proxy.port), sink.port, **SETTINGS)
        await daemon.ready()

        # when it sends
        jobs = await insert(place.owner, MAILS)
        began = time.monotonic()
        await eventually(lambda: order.lost == 3, "three acks are lost")

        # then they are repeated until they are known to be written, and no mail leaves again
        await all_sent(place.owner, jobs)
        seconds = time.monotonic() - began
        found = await hold(place.owner, sink, jobs, Bound(), daemon, lease_seconds=LEASE_SECONDS)
        assert "after their lease" not in daemon.output  # a repeated ack that finds nothing left to do is no stale one
        measured(
            f"case 14 ({moment}): 3 acks lost, {len(jobs)} mails done after {seconds:.2f} s; "
            f"lost 0, sent twice {found.twice}"
        )
