"""Cases 1 to 4: kill -9 at exact moments: before the claim's commit, before MAIL, in mid-DATA, and before the ack's commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost
from tests.faults.relays import InContent
from tests.faults.statements import ACK, CLAIM, HoldCommit
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
AGAIN_SECONDS = 5.0  # after the kill, as promised
WORKERS = 4
MAX_UNWRITTEN = 100
# A long time-out, so that the daemon waits at the held statement for as long as the test needs.
LIMITS = {
    "MIN_WORKERS": WORKERS,
    "MAX_WORKERS": WORKERS,
    "MAX_UNWRITTEN": MAX_UNWRITTEN,
    "DATABASE_TIMEOUT_SECONDS": 60,
}
MOST_TWICE = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN
FEW = 20
MAILS = 300
LARGE_OCTETS = 16 * 1024 * 1024  # more than the system's buffers hold: the rest is still the daemon's own
ROWS = "SELECT * FROM mailworkers.email_jobs ORDER BY id"
FREE = "SELECT count(*) FROM (SELECT FROM mailworkers.email_jobs FOR UPDATE SKIP LOCKED) AS free"
MARKED = "SELECT count(*) FROM mailworkers.email_jobs WHERE marked_at IS NOT NULL"
ENDED = "SELECT count(*) FROM mailworkers.email_sends WHERE job_id = ANY ($1::bigint[])"
AGAIN = """
SELECT count(*) FROM unnest($1::bigint[]) AS held(id)
WHERE EXISTS (SELECT FROM mailworkers.email_sends WHERE job_id = held.id) OR EXISTS (
    SELECT FROM mailworkers.email_jobs AS job JOIN mailworkers.email_daemons AS d ON d.id = job.daemon_id
    WHERE job.id = held.id AND job.status = 'sending' AND d.instance = 'second')
"""
HELD = """
SELECT job.id FROM mailworkers.email_jobs AS job JOIN mailworkers.email_daemons AS d ON d.id = job.daemon_id
WHERE job.status = 'sending' AND d.instance = $1
"""


async def test_case_1_killed_before_the_claim_commits(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    order = HoldCommit(CLAIM)
    async with Sink(keep_content=False) as sink, Proxy(place.cluster.port, order.watch) as proxy:
        # given a daemon whose claim the server has run, and not committed
        daemon = start_daemon(place.dsn(proxy.port), sink.port, **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, FEW)
        before = await place.owner.fetch(ROWS)

        async def free() -> int:
            return int(await place.owner.fetchval(FREE))

        async def claiming() -> bool:
            return order.held == 1 and await free() < FEW

        await eventually(claiming, "a claim waits for its commit")
        taken = FEW - await free()

        # when it is killed, then nothing has changed, and every job is free at once
        daemon.kill()
        killed = time.monotonic()

        async def all_free() -> bool:
            return await free() == FEW

        await eventually(all_free, "the jobs are free", AGAIN_SECONDS)
        seconds = time.monotonic() - killed
        assert await place.owner.fetch(ROWS) == before

        # and the next daemon sends each of them once
        following = start_daemon(place.dsn(), sink.port, **LIMITS)
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), following)
        measured(
            f"case 1: killed with {taken} of {FEW} jobs in an uncommitted claim: no row changed, free after {seconds:.2f} s; "
            f"lost 0, sent twice {found.twice}"
        )


async def test_case_2_killed_before_mail(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink, Proxy(sink.port) as relay:
        # given a daemon with claimed jobs, at a relay that says nothing, and another one beside it
        relay.stall()
        daemon = start_daemon(place.dsn(), relay.port, INSTANCE="first", **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, FEW)
        await eventually(lambda: relay.open_links > 0, "it waits for the relay's greeting")
        second, held = await _beside(place, start_daemon, sink, jobs)

        # when it is killed, then the other one sends what it held, each mail once
        seconds = await _killed(place, daemon, jobs, held)
        relay.go_on()
        found = await hold(place.owner, sink, jobs, Bound(), second)
        measured(
            f"case 2: killed with {len(held)} jobs claimed and no MAIL said: all ran again {seconds:.2f} s after the kill (at most "
            f"{AGAIN_SECONDS} s are promised); lost 0, sent twice {found.twice}"
        )


async def test_case_3_killed_in_mid_data(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    order = InContent()
    async with (
        Sink(keep_content=False) as sink,
        Proxy(sink.port, order.watch) as relay,
    ):
        # given a daemon in the middle of a large mail, and another one beside it
        order.proxy = relay
        daemon = start_daemon(place.dsn(), relay.port, INSTANCE="first", **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, 1, octets=LARGE_OCTETS)
        await eventually(lambda: order.stalled, "it is in mid-DATA")
        second, held = await _beside(place, start_daemon, sink, jobs)
        assert held == jobs

        # when it is killed, and the relay reads on until the connection ends
        seconds = await _killed(place, daemon, jobs, held)
        relay.go_on()
        await eventually(lambda: relay.open_links == 0, "the relay has read all that was on its way")

        # then what it read ends before the mail does, and the other daemon sends that once
        assert order.passed < LARGE_OCTETS
        found = await hold(place.owner, sink, jobs, Bound(), second)
        measured(
            f"case 3: killed in the middle of a mail, {order.passed / LARGE_OCTETS:.0%} of it on its way: all "
            f"ran again {seconds:.2f} s after the kill (at most {AGAIN_SECONDS} s are promised); lost 0, sent twice {found.twice}"
        )


async def test_case_4_killed_before_the_ack_commits(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    order = HoldCommit(ACK)
    async with Sink(keep_content=False) as sink, Proxy(place.cluster.port, order.watch) as proxy:
        # given a daemon all of whose mails were taken by the relay, and none of whose acks is committed
        daemon = start_daemon(place.dsn(proxy.port), sink.port, INSTANCE="first", **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(
            lambda: order.held == 1 and len(sink.mails) >= MAX_UNWRITTEN, "it has no room for more results"
        )
        second, held = await _beside(place, start_daemon, sink, jobs)
        unrecorded = len(sink.mails) - (MAILS - len(held))
        assert 0 < unrecorded <= MOST_TWICE

        # when it is killed, then exactly those leave again, under the same Message-ID
        seconds = await _killed(place, daemon, jobs, held)
        found = await hold(place.owner, sink, jobs, Bound(twice=MOST_TWICE), second)
        assert found.twice == unrecorded
        measured(
            f"case 4: killed with {unrecorded} mails taken and not recorded: all ran again {seconds:.2f} s after the kill (at most "
            f"{AGAIN_SECONDS} s are promised); lost 0, sent twice {found.twice} (at most {MOST_TWICE})"
        )


async def test_case_4_killed_before_the_ack_commits_at_most_once(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    order = HoldCommit(ACK)
    async with Sink(keep_content=False) as sink, Proxy(place.cluster.port, order.watch) as proxy:
        # given the same with mails that must go at most once
        daemon = start_daemon(place.dsn(proxy.port), sink.port, INSTANCE="first", **LIMITS)
        await daemon.ready()
        jobs = await insert(place.owner, MAILS, delivery="at_most_once")
        await eventually(
            lambda: order.held == 1 and len(sink.mails) >= MAX_UNWRITTEN, "it has no room for more results"
        )
        second, _ = await _beside(place, start_daemon, sink, jobs)
        marked = await place.owner.fetchval(MARKED)
        assert 0 < marked <= MOST_TWICE

        # when it is killed, then those are unknown, the others run again, and no mail leaves twice
        daemon.kill()
        killed = time.monotonic()

        async def all_ended() -> bool:
            return bool(await place.owner.fetchval(ENDED, jobs) == len(jobs))

        await eventually(all_ended, "every job has ended", AGAIN_SECONDS)
        seconds = time.monotonic() - killed
        found = await hold(place.owner, sink, jobs, Bound(unknown=marked), second)
        measured(
            f"case 4, at most once: killed with {marked} mails taken and not recorded: all ended {seconds:.2f} s after the kill; "
            f"unknown {marked}, lost 0, sent twice {found.twice}"
        )


async def _beside(
    place: Place, start_daemon: StartDaemon, sink: Sink, jobs: Sequence[int]
) -> tuple[DaemonProcess, list[int]]:
    """A second daemon that has sent all that the first does not hold; and what that holds."""
    second = start_daemon(place.dsn(), sink.port, INSTANCE="second", **LIMITS)
    await second.ready()

    async def held() -> list[int]:
        return [row["id"] for row in await place.owner.fetch(HELD, "first")]

    async def nothing_else_lives() -> bool:
        return bool(await place.owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == len(await held()))

    await eventually(nothing_else_lives, "the second daemon has sent the others")
    found = await held()
    assert found
    await nothing_lost(place.owner, jobs)
    return second, found


async def _killed(place: Place, daemon: DaemonProcess, jobs: Sequence[int], held: Sequence[int]) -> float:
    """Kill it, and wait until all is sent; how long it took until another daemon had taken, or sent, what it held."""
    assert await place.owner.fetchval(ENDED, list(held)) == 0
    killed = time.monotonic()
    daemon.kill()

    async def again() -> bool:
        return bool(await place.owner.fetchval(AGAIN, list(held)) == len(held))

    await eventually(again, "all that it held runs again", AGAIN_SECONDS)
    seconds = time.monotonic() - killed
    await all_sent(place.owner, jobs)
    return seconds
