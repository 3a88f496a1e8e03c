"""Cases 11, 12 and 15: PostgreSQL is restarted, politely or not, or freezes with all its connections open."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, witnessed
from tests.support.cluster import FAST, IMMEDIATE
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 2000
MIDDLE = 300
BACK_SECONDS = 10.0  # from PostgreSQL's return until the daemon works again
NOTICED_SECONDS = 10.0  # until the daemon says that it is not ready
STATEMENT_SECONDS = 2  # of the daemon's; the presence's own bound of 5 s is the longest wait
FREEZE_NOTICED_SECONDS = 10.0
LEASE_SECONDS = 6.0
GRACE_SECONDS = 3
# A drain during a freeze: the grace, 15 s for the last results, and the bounded farewells of three pools and a session.
EXIT_SECONDS = GRACE_SECONDS + 15 + 15


@pytest.mark.parametrize(("number", "how"), [(11, FAST), (12, IMMEDIATE)], ids=["11-fast", "12-immediate"])
async def test_cases_11_and_12_postgresql_restarted(
    number: int, how: signal.Signals, place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        daemon = start_daemon(place.dsn(), sink.port)
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when PostgreSQL stops, then the daemon is not ready, and says that it lives
        async with witnessed(daemon) as witness:
            await place.cluster.stop(how)
            stopped = time.monotonic()
            await eventually(lambda: witness.unready > 0, "/readyz says that nothing goes", NOTICED_SECONDS)
            noticed = time.monotonic() - stopped
            assert await daemon.status("/livez") == 200

            # and when it is back, then the daemon works again within 10 s
            await place.cluster.start()
            back = time.monotonic()
            await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
            seconds = time.monotonic() - back
        assert witness.statuses("database")["fail"]
        assert not witness.silent
        await place.connect_again()
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), daemon)
        measured(
            f"case {number}: not ready {noticed:.2f} s after the stop, ready {seconds:.2f} s after the return; "
            f"lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )


async def test_case_15_postgresql_frozen(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        daemon = start_daemon(
            place.dsn(),
            sink.port,
            DATABASE_TIMEOUT_SECONDS=STATEMENT_SECONDS,
            LEASE_SECONDS=LEASE_SECONDS,
            HEARTBEAT_SECONDS=2,
        )
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when PostgreSQL freezes for longer than the lease: no answer, no RST
        async with witnessed(daemon) as witness:
            place.cluster.freeze()
            try:
                froze = time.monotonic()
                await eventually(lambda: witness.unready > 0, "/readyz says that nothing goes", FREEZE_NOTICED_SECONDS)
                noticed = time.monotonic() - froze
                sent = len(sink.mails)
                await eventually(lambda: time.monotonic() - froze > LEASE_SECONDS, "the lease is over")
                assert len(sink.mails) == sent  # nothing leaves whose end could not be written
            finally:
                place.cluster.thaw()

            # then its time-outs end every wait, and it goes on when PostgreSQL does
            thawed = time.monotonic()
            await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
            seconds = time.monotonic() - thawed
        assert not witness.silent
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), daemon, lease_seconds=LEASE_SECONDS)
        measured(
            f"case 15: not ready {noticed:.2f} s after the freeze, ready {seconds:.2f} s after its end; "
            f"lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )


async def test_case_15_told_to_stop_while_postgresql_is_frozen(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work, and a PostgreSQL that freezes
        limits = {"MIN_WORKERS": 4, "MAX_WORKERS": 4, "MAX_UNWRITTEN": 100}
        settings = {"DATABASE_TIMEOUT_SECONDS": STATEMENT_SECONDS, "DRAIN_SECONDS": GRACE_SECONDS, **limits}
        daemon = start_daemon(place.dsn(), sink.port, **settings)
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")
        place.cluster.freeze()
        try:
            # when it is told to stop, then it ends in a bounded time all the same
            told = time.monotonic()
            daemon.send(signal.SIGTERM)
            code = await daemon.ended(EXIT_SECONDS)
            seconds = time.monotonic() - told
        finally:
            place.cluster.thaw()

        # and the next daemon sends the rest; twice only what was accepted and could not be written
        again = start_daemon(place.dsn(), sink.port, **settings)
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(twice=100 + 4 * MOST_AT_ONCE), again)
        measured(f"case 15 (SIGTERM meanwhile): ended in {seconds:.2f} s with {code}; lost 0, sent twice {found.twice}")
