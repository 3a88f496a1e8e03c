"""Cases 29, 30, 31, 33 and 34: a relay that closes, is late, talks nonsense, or answers what it was not asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, well
from tests.faults.misbehaving import greeting, onward, take
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Script, Talk
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 10
ONE_WORKER = {"MIN_WORKERS": 1, "MAX_WORKERS": 1}
SOON = {"RETRY_MINUTES": "0.01"}  # a second attempt follows after 0.6 s instead of 5 min
DEADLINE_SECONDS = 2.0
DONE_SECONDS = 30.0
FLOOD = b"250-" + b"x" * 8000 + b"\r\n"
LONG_LINE = b"x" * 1024 * 1024
LARGE_LINES = 130_000  # 9 MB: more than the kernel takes while nobody reads
INSERT_LARGE = """
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body)
SELECT 'reader' || n || '@example.org', 'Large ' || n, repeat(repeat('x', 70) || E'\n', $2::integer)
FROM generate_series(1, $1::integer) AS n RETURNING id
"""
AT_MOST_ONCE = "UPDATE mailworkers.email_jobs SET delivery = 'at_most_once'"
ENDS = "SELECT status, count(*) FROM mailworkers.email_sends GROUP BY status"


async def test_case_29_closed_in_mid_data(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async def close_in_the_content(talk: Talk) -> None:
        await talk.envelope()
        await talk.reader.readline()
        talk.vanish()

    hostile = greeting(close_in_the_content, "PIPELINING")
    async with Sink(keep_content=False) as sink, HostileServer(hostile, hostile, onward(sink)) as relay:
        # given a relay that closes two connections in the middle of a large mail
        daemon = start_daemon(place.dsn(), relay.port, **ONE_WORKER, **SOON)
        await daemon.ready()

        # when there are some, then all of them leave once, after one spent attempt: the first second try is free
        jobs = [row["id"] for row in await place.owner.fetch(INSERT_LARGE, 3, LARGE_LINES)]
        await all_sent(place.owner, jobs, DONE_SECONDS)
        found = await hold(place.owner, sink, jobs, Bound(attempts=1), daemon)
        assert len(relay.talks) >= 3
        measured(
            f"case 29: closed twice in mid-DATA: {found.mails} mails of 9 MB; lost 0, sent twice {found.twice}, "
            f"attempts spent {found.attempts}"
        )


def vanishes_after_the_dot(sink: Sink) -> Script:
    async def script(talk: Talk) -> None:
        await take(talk, sink, reply="")
        talk.vanish()

    return greeting(script, "PIPELINING")


def answers_too_late(sink: Sink) -> Script:
    async def script(talk: Talk) -> None:
        await take(talk, sink, reply="")
        await talk.until_gone()
        await talk.send("250 2.0.0 taken after all")

    return greeting(script, "PIPELINING")


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize(("case", "hostile"), [(30, vanishes_after_the_dot), (31, answers_too_late)])
async def test_cases_30_and_31_no_reply_after_the_dot(
    case: int,
    hostile: Callable[[Sink], Script],
    delivery: str,
    place: Place,
    start_daemon: StartDaemon,
    measured: Measured,
) -> None:
    async with Sink(keep_content=False) as sink, HostileServer(hostile(sink), onward(sink)) as relay:
        # given mails that wait, and a relay that takes one of them and never says so in time
        jobs = await insert(place.owner, MAILS)
        if delivery == "at_most_once":
            await place.owner.execute(AT_MOST_ONCE)
        daemon = start_daemon(place.dsn(), relay.port, **ONE_WORKER, **SOON, JOB_DEADLINE_SECONDS=DEADLINE_SECONDS)

        # when they are sent
        if delivery == "at_least_once":
            # then that one is sent again, under the same Message-ID, and no other
            await all_sent(place.owner, jobs, DONE_SECONDS)
            found = await hold(place.owner, sink, jobs, Bound(twice=1, attempts=1), daemon)
            assert found.twice == 1
        else:
            # then that one is of unknown end, and never sent again by itself
            await eventually(lambda: ended(place, sent=MAILS - 1, unknown=1), "all have an end", DONE_SECONDS)
            found = await hold(place.owner, sink, jobs, Bound(attempts=1, unknown=1), daemon)
            assert len(sink.mails) == MAILS
        measured(f"case {case} ({delivery}): lost 0, sent twice {found.twice}, attempts spent {found.attempts}")


async def ended(place: Place, **wanted: int) -> bool:
    return {row["status"]: row["count"] for row in await place.owner.fetch(ENDS)} == wanted


async def test_case_33_nonsense(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    pushed = 0

    async def flood(talk: Talk) -> None:
        nonlocal pushed
        while True:
            await talk.send_raw(FLOOD)
            pushed += len(FLOOD)

    async def garbage_for_a_greeting(talk: Talk) -> None:
        await talk.send_raw(bytes(range(256)) * 4096)
        await talk.until_gone()

    async def endless_ehlo(talk: Talk) -> None:
        await talk.send("220 hostile.example ESMTP")
        await talk.expect("EHLO")
        await flood(talk)

    async def endless_reply(talk: Talk) -> None:
        await talk.expect("MAIL")
        await flood(talk)

    async def long_line(talk: Talk) -> None:
        await talk.expect("MAIL")
        await talk.send_raw(LONG_LINE)
        await talk.until_gone()

    async def garbage(talk: Talk) -> None:
        await talk.expect("MAIL")
        await talk.send_raw(b"\x00\xff\x1b[2J no reply at all\r\n")
        await talk.until_gone()

    scripts = [garbage_for_a_greeting, endless_ehlo, greeting(endless_reply), greeting(long_line), greeting(garbage)]
    async with Sink(keep_content=False) as sink, HostileServer(*scripts, onward(sink)) as relay:
        # given a relay that talks nonsense on its first connections
        daemon = start_daemon(place.dsn(), relay.port, **ONE_WORKER, **SOON)
        await daemon.ready()

        # when there are mails, then each of these ends with an error at once, and they leave over the next that makes sense
        jobs = await insert(place.owner, MAILS)
        await all_sent(place.owner, jobs, DONE_SECONDS)
        found = await hold(place.owner, sink, jobs, Bound(attempts=2), daemon)
        assert len(relay.talks) == len(scripts) + 1
        assert pushed < 16 * 1024 * 1024  # what the kernel and a reader hold; nothing went on reading
        measured(
            f"case 33: {len(scripts)} kinds of nonsense: lost 0, sent twice {found.twice}, attempts spent "
            f"{found.attempts}, peak memory {await well(daemon) // 1024} MB"
        )


async def test_case_34_replies_that_nobody_asked_for(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink:

        async def before_any_mail(talk: Talk) -> None:
            # In one packet: a moment later it could not be told from the answer to MAIL.
            await talk.send("220 hostile.example ESMTP")
            await talk.expect("EHLO")
            await talk.send("250 hostile.example", "250 2.0.0 taken")
            assert await talk.until_gone() == b""

        async def two_for_one(talk: Talk) -> None:
            await take(talk, sink, reply="250 2.0.0 taken\r\n250 2.0.0 taken")
            await talk.until_gone()

        async def in_advance(talk: Talk) -> None:
            await take(talk, sink, reply="250 2.0.0 taken\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 2.0.0 taken")
            await talk.until_gone()

        async def for_the_mail_before(talk: Talk) -> None:
            await take(talk, sink)
            await talk.expect("MAIL")
            await talk.send("250 2.1.0 ok")
            await talk.expect("RCPT")
            await talk.send("250 2.1.5 ok", "250 2.0.0 taken, late")
            await talk.until_gone()

        scripts = [before_any_mail, *map(greeting, (two_for_one, in_advance, for_the_mail_before))]
        async with HostileServer(*scripts, onward(sink)) as relay:
            # given a relay that says more than it was asked
            daemon = start_daemon(place.dsn(), relay.port, **ONE_WORKER, **SOON)
            await daemon.ready()

            # when there are mails, then each of these connections is dropped, and no mail is believed to be sent that was not
            jobs = await insert(place.owner, MAILS)
            await all_sent(place.owner, jobs, DONE_SECONDS)
            found = await hold(place.owner, sink, jobs, Bound(attempts=1), daemon)
            assert len(sink.mails) == MAILS
            assert len(relay.talks) == len(scripts) + 1
            measured(
                f"case 34: {len(scripts)} kinds of unasked replies: lost 0, sent twice {found.twice}, attempts spent "
                f"{found.attempts}"
            )
