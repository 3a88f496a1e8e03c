"""Cases 6 and 7: SIGTERM under full load, and at a relay that stalls; and while the database is away."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost
from tests.faults.relays import NoAnswer
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
WORKERS = 4
LIMITS = {"MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS}
MAILS = 4000
MIDDLE = 500
DRAIN_SECONDS = 5.0
SHORT_DRAIN_SECONDS = 1.0
STOP_SECONDS = 2.0  # for the steps after the grace period, on a busy machine
FEW = 8
RETRY_MINUTES = 0.02
STATES = "SELECT status, count(*) FROM mailworkers.email_job_status WHERE job_id = ANY ($1::bigint[]) GROUP BY status"
LEFT_BEHIND = "SELECT count(*) FROM mailworkers.email_jobs WHERE lease IS NOT NULL OR marked_at IS NOT NULL"


async def test_case_6_sigterm_under_load(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in full load
        daemon = start_daemon(place.dsn(), sink.port, DRAIN_SECONDS=DRAIN_SECONDS, **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when it is told to stop, then it ends within the grace period, and leaves nothing behind
        daemon.send(signal.SIGTERM)
        told = time.monotonic()
        code = await daemon.ended(DRAIN_SECONDS)
        seconds = time.monotonic() - told
        assert code == 0, daemon.output
        sent = len(sink.mails)
        assert sent < MAILS
        assert await _states(place, jobs) == {"sent": sent, "waiting": MAILS - sent}
        assert await place.owner.fetchval(LEFT_BEHIND) == 0

        # and the next one sends the rest, each mail once
        following = start_daemon(place.dsn(), sink.port, **LIMITS)
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), following)
        measured(
            f"case 6: SIGTERM after {sent} of {MAILS} mails: ended with {code} after {seconds:.2f} s (grace {DRAIN_SECONDS} s); "
            f"lost 0, sent twice {found.twice}"
        )


async def test_case_7_sigterm_at_a_stalled_relay(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    order = NoAnswer(after_rcpt=frozenset({"reader4@example.org"}))
    async with (
        Sink(extensions=(), keep_content=False) as plain,
        Proxy(plain.port, order.watch) as relay,
    ):
        # given a daemon whose mails wait for a relay's answer: three to their content, one to its envelope, others in line
        settings = {**LIMITS, "RETRY_MINUTES": RETRY_MINUTES}
        daemon = start_daemon(place.dsn(), relay.port, DRAIN_SECONDS=SHORT_DRAIN_SECONDS, **settings)
        await daemon.ready()
        handed_over = await insert(place.owner, 2, delivery="at_most_once")
        rest = await insert(place.owner, 1, first=3)
        rest += await insert(place.owner, 1, first=4, delivery="at_most_once")
        rest += await insert(place.owner, FEW, first=5)
        await eventually(lambda: order.silent == WORKERS, "all connections wait for an answer")

        # when it is told to stop, then it aborts them at the end of the grace period
        daemon.send(signal.SIGTERM)
        told = time.monotonic()
        code = await daemon.ended(SHORT_DRAIN_SECONDS + STOP_SECONDS)
        seconds = time.monotonic() - told
        assert code == 0, daemon.output
        assert seconds >= SHORT_DRAIN_SECONDS

        # and the two that may have been taken, and must not go twice, are unknown; nothing else keeps a mark or a lease
        assert await _states(place, handed_over) == {"unknown": 2}
        assert await _states(place, rest) == {"retrying": 1, "waiting": FEW + 1}
        assert await place.owner.fetchval(LEFT_BEHIND) == 0
        assert len(plain.mails) == 3

        # and the others run again
        following = start_daemon(place.dsn(), plain.port, **settings)
        await all_sent(place.owner, rest)
        bound = Bound(twice=1, attempts=3, unknown=2)
        found = await hold(place.owner, plain, [*handed_over, *rest], bound, following)
        measured(
            f"case 7: SIGTERM with {WORKERS} mails at a silent relay: ended with {code} after {seconds:.2f} s (grace "
            f"{SHORT_DRAIN_SECONDS} s); unknown {bound.unknown}, lost 0, sent twice {found.twice} (at most {bound.twice})"
        )


async def test_sigterm_while_the_database_is_away(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with (
        Sink(keep_content=False) as sink,
        Proxy(sink.port) as relay,
        Proxy(place.cluster.port) as proxy,
    ):
        # given a daemon with claimed jobs and no result, whose database goes away
        relay.stall()
        daemon = start_daemon(place.dsn(proxy.port), relay.port, DRAIN_SECONDS=SHORT_DRAIN_SECONDS, **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, FEW)
        await eventually(lambda: relay.open_links > 0, "it waits for the relay's greeting")
        proxy.refuse()
        proxy.cut()

        # when it is told to stop, then it does not wait for a database that it needs for nothing, and tells what is left
        daemon.send(signal.SIGTERM)
        told = time.monotonic()
        code = await daemon.ended()
        seconds = time.monotonic() - told
        assert code == 0, daemon.output
        assert seconds < SHORT_DRAIN_SECONDS + 2 * STOP_SECONDS
        assert "jobs could not be given back" in daemon.output
        assert "results could not be written" not in daemon.output
        await nothing_lost(place.owner, jobs)
        measured(f"SIGTERM while the database is away, no result at stake: ended with {code} after {seconds:.2f} s")


async def _states(place: Place, jobs: list[int]) -> dict[str, int]:
    return {row["status"]: row["count"] for row in await place.owner.fetch(STATES, jobs)}
