"""Cases 27, 28 and 32: a relay that swallows connections, answers an octet at a time, or stops reading."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost
from tests.faults.misbehaving import greeting, onward
from tests.support.black_hole import BlackHole
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
FEW = 20
MAILS = 300
WORKERS = 4
CONNECT_SECONDS = 1.0
DEADLINE_SECONDS = 4.0
WATCHED_SECONDS = 5.0
MOST_PROBES = (
    3  # within that time: each takes CONNECT_SECONDS, with rests of 0.5 to 1, 1 to 2 and 2 to 4 s between them
)
AFTER_REST_SECONDS = 20.0
OCTET_SECONDS = 0.1  # instead of 10 s, as the deadline is 4 s instead of some minutes
LOOK_SECONDS = 0.02
SLACK_SECONDS = 3.0  # what a busy machine may be late
LARGE_LINES = 230_000  # 16 MB: more than the kernel takes while nobody reads
INSERT_LARGE = """
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body)
VALUES ('reader1@example.org', 'Large', repeat(repeat('x', 70) || E'\n', $1::integer)) RETURNING id
"""


async def test_case_27_connection_requests_vanish(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        async with BlackHole() as relay:
            # given a relay of which nothing is heard, neither yes nor no
            daemon = start_daemon(
                place.dsn(), relay.port, MIN_WORKERS=WORKERS, MAX_WORKERS=WORKERS, SMTP_CONNECT_SECONDS=CONNECT_SECONDS
            )
            await daemon.ready()

            # when mails are inserted, then the breaker opens
            jobs = await insert(place.owner, FEW)

            async def failing() -> bool:
                answer = await daemon.health()
                return bool(answer) and answer["checks"]["relay"][0]["status"] == "fail"

            await eventually(failing, "/health says that the relay takes no mail")
            await eventually(lambda: not relay.knocking(), "those that had begun have given up")

            # and one worker at a time tries again
            probes: set[int] = set()
            began = time.monotonic()
            while time.monotonic() - began < WATCHED_SECONDS:
                knocking = relay.knocking()
                assert len(knocking) <= 1
                probes |= knocking
                await asyncio.sleep(LOOK_SECONDS)
            assert 1 <= len(probes) <= MOST_PROBES
            await nothing_lost(place.owner, jobs)

        # and all of them leave once connections stand, with no attempt spent
        async with HostileServer(onward(sink), port=relay.port):
            await all_sent(place.owner, jobs, AFTER_REST_SECONDS)
            found = await hold(place.owner, sink, jobs, Bound(), daemon)
        measured(
            f"case 27: a black hole, {len(probes)} probes in {WATCHED_SECONDS} s by {WORKERS} workers, one at a time; "
            f"lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )


async def drip(talk: Talk, text: str) -> None:
    """One octet at a time, until the client has gone."""
    for octet in text.encode():
        await talk.send_raw(bytes([octet]))
        await asyncio.sleep(OCTET_SECONDS)


@pytest.mark.parametrize("what", ["banner", "reply"])
async def test_case_28_an_octet_at_a_time(
    what: str, place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    spans: list[float] = []
    began_to_drip = asyncio.Event()

    async def slow(talk: Talk) -> None:
        if what == "reply":
            await talk.greet()
            await talk.expect("MAIL")
        began = time.monotonic()
        began_to_drip.set()
        dripping = asyncio.create_task(drip(talk, "220-" + "slow " * 1000))
        await talk.until_gone()
        spans.append(time.monotonic() - began)
        dripping.cancel()

    async with Sink(keep_content=False) as sink, HostileServer(slow, onward(sink)) as relay:
        # given two workers, of which one meets a relay that answers an octet at a time
        daemon = start_daemon(
            place.dsn(), relay.port, MIN_WORKERS=2, MAX_WORKERS=2, SMTP_CONNECT_SECONDS=DEADLINE_SECONDS,
            JOB_DEADLINE_SECONDS=DEADLINE_SECONDS, RETRY_MINUTES="0.01",
        )  # fmt: skip
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        async with asyncio.timeout(AFTER_REST_SECONDS):
            await began_to_drip.wait()

        # when it drips, then the other connection goes on meanwhile with all but what the slow one has
        began = time.monotonic()
        await eventually(lambda: len(sink.mails) >= MAILS - 1, "the other mails leave", AFTER_REST_SECONDS)
        seconds = time.monotonic() - began
        assert not spans

        # and the deadline ends it, and all are sent
        await all_sent(place.owner, jobs, AFTER_REST_SECONDS)
        await eventually(lambda: bool(spans), "the slow connection was given up", AFTER_REST_SECONDS)
        assert spans[0] < DEADLINE_SECONDS + SLACK_SECONDS
        found = await hold(place.owner, sink, jobs, Bound(attempts=1), daemon)
        measured(
            f"case 28 ({what} at an octet per {OCTET_SECONDS} s): given up after {spans[0]:.2f} s (deadline "
            f"{DEADLINE_SECONDS} s), {MAILS - 1} others sent within {seconds:.2f} s; lost 0, sent twice {found.twice}, "
            f"attempts spent {found.attempts}"
        )


async def test_case_32_stops_reading_in_data(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    rests: list[bytes] = []
    read_on = asyncio.Event()

    async def stop_reading(talk: Talk) -> None:
        await talk.envelope()
        talk.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's transports read as well
        await read_on.wait()
        talk.writer.transport.resume_reading()  # type: ignore[attr-defined]
        rests.append(await talk.until_gone())

    async with (
        Sink(keep_content=False) as sink,
        HostileServer(greeting(stop_reading, "PIPELINING"), onward(sink)) as relay,
    ):
        # given a relay that reads nothing of a large mail's content
        daemon = start_daemon(
            place.dsn(), relay.port, MIN_WORKERS=1, MAX_WORKERS=1, JOB_DEADLINE_SECONDS=DEADLINE_SECONDS,
            RETRY_MINUTES="0.01",
        )  # fmt: skip
        await daemon.ready()
        jobs = [await place.owner.fetchval(INSERT_LARGE, LARGE_LINES)]

        # when the deadline has ended that connection, then the mail leaves over another one
        await all_sent(place.owner, jobs, AFTER_REST_SECONDS)

        # and what the relay reads at last is no whole mail
        read_on.set()
        await eventually(lambda: bool(rests), "the relay has read what there was")
        assert len(rests[0]) < LARGE_LINES * 71
        assert not rests[0].endswith(b"\r\n.\r\n")
        found = await hold(place.owner, sink, jobs, Bound(attempts=1), daemon)
        measured(
            f"case 32: {len(rests[0]) // 1024 // 1024} of {LARGE_LINES * 72 // 1024 // 1024} MB had left when the mail was "
            f"given up, and no end of it; lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )
