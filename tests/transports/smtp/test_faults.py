"""What a relay or a network may do to a mail on its way, and what may be said about that mail afterwards.

Broken means: certainly not sent. Lost means: nobody here can know. A reply means what it says.
"""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.replies import Accepted, Broken, Lost, Rejected, Stage
from mailworkers.transports.smtp.wire import Mode
from tests.support.smtp_server import HostileServer, Script, Talk
from tests.support.waiting import eventually
from tests.transports.smtp.relays import (
    BRIEF,
    BY_DATA,
    EVERY_MODE,
    LARGE,
    after_one_mail,
    greeting,
    outcome_of,
    reset_after_the_dot,
    silent,
    silent_after_the_dot,
    vanish,
    vanish_after_the_dot,
    vanish_before_the_dot,
)
from tests.transports.smtp.sending import SECONDS, a_mail, a_session, send, submit


class TestCloses:
    @EVERY_MODE
    async def test_at_mail_on_a_fresh_connection(self, mode: Mode) -> None:
        async def close_at_mail(talk: Talk) -> None:
            await talk.expect("MAIL")
            talk.vanish()

        outcome = await outcome_of(mode, close_at_mail)

        if mode is Mode.CHUNKING:  # the content left with the envelope
            assert isinstance(outcome, Lost)
        else:
            assert isinstance(outcome, Broken)
            assert (outcome.stage, outcome.closing) == (Stage.MAIL, False)

    @BY_DATA
    async def test_in_the_middle_of_the_content_of_which_the_end_has_not_left(self, mode: Mode) -> None:
        outcome = await outcome_of(mode, vanish_before_the_dot, body=LARGE)
        assert isinstance(outcome, Broken)
        assert outcome.stage is Stage.BODY

    @BY_DATA
    @pytest.mark.parametrize("end", [vanish_after_the_dot, reset_after_the_dot])
    async def test_after_the_dot(self, mode: Mode, end: Script) -> None:
        assert isinstance(await outcome_of(mode, end), Lost)

    async def test_after_the_chunk(self) -> None:
        async def close_after_the_chunk(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT")
            await talk.chunk()
            talk.vanish()

        assert isinstance(await outcome_of(Mode.CHUNKING, close_after_the_chunk), Lost)

    @EVERY_MODE
    async def test_a_kept_connection_at_rest(self, mode: Mode) -> None:
        async with (
            HostileServer(after_one_mail(mode, vanish)) as server,
            a_session(server.port) as session,
        ):
            await send(session, a_mail())

            await eventually(lambda: not session.usable, "the session knows")
            [late] = await send(session, a_mail())

            assert isinstance(late, Broken)
            assert late.closing

    @BY_DATA
    async def test_a_kept_connection_as_the_next_mail_begins(self, mode: Mode) -> None:
        async def close_at_mail(talk: Talk) -> None:
            await talk.expect("MAIL")
            talk.vanish()

        async with (
            HostileServer(after_one_mail(mode, close_at_mail)) as server,
            a_session(server.port) as session,
        ):
            first, second = await send(session, a_mail(1)), await send(session, a_mail(2))

            assert isinstance(first[0], Accepted)
            assert isinstance(second[0], Broken)
            assert second[0].closing

    async def test_each_pipelined_mail_ends_by_what_was_sent_of_it(self) -> None:
        async def close_after_the_second_envelope(talk: Talk) -> None:
            await talk.envelope()
            await talk.content()
            await talk.expect("MAIL", "RCPT", "DATA")
            talk.vanish()

        async with (
            HostileServer(greeting(Mode.PIPELINING, close_after_the_second_envelope)) as server,
            a_session(server.port) as session,
        ):
            first, second, third = await send(session, a_mail(1), a_mail(2), a_mail(3))

            assert isinstance(first, Lost)
            assert isinstance(second, Broken)
            assert isinstance(third, Broken)
            assert second.closing, "the first mail is to blame, if any"
            assert third.closing

    @EVERY_MODE
    async def test_a_refusal_that_was_read_stands(self, mode: Mode) -> None:
        async def refuse_and_vanish(talk: Talk) -> None:
            await talk.expect("MAIL")
            await talk.send("250 ok")
            await talk.expect("RCPT")
            await talk.send("550 5.1.1 no such user")
            talk.vanish()

        outcome = await outcome_of(mode, refuse_and_vanish) if mode is not Mode.PLAIN else None
        if outcome is not None:
            assert isinstance(outcome, Rejected)
            assert outcome.hard_bounce


class TestStalls:
    @pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
    @BY_DATA
    async def test_at_a_command(self, mode: Mode, stage: str) -> None:
        async def stall(talk: Talk) -> None:
            for verb in ("MAIL", "RCPT", "DATA"):
                await talk.expect(verb)
                if verb == stage:
                    await talk.until_gone()
                    return
                await talk.send("250 ok")

        outcome = await outcome_of(mode, stall, timeouts=BRIEF)

        assert isinstance(outcome, Broken)
        assert outcome.stage.name == stage
        assert stage in outcome.text

    @BY_DATA
    async def test_at_the_last_reply(self, mode: Mode) -> None:
        assert isinstance(await outcome_of(mode, silent_after_the_dot, timeouts=BRIEF), Lost)

    async def test_a_reply_that_comes_too_late_is_never_read(self) -> None:
        async def late(talk: Talk) -> None:
            await talk.envelope()
            await talk.content()
            await talk.until_gone()
            await talk.send("250 2.0.0 taken after all")

        assert isinstance(await outcome_of(Mode.PIPELINING, late, timeouts=BRIEF), Lost)

    @BY_DATA
    async def test_a_relay_that_stops_reading_gets_no_more_of_the_mail(self, mode: Mode) -> None:
        async def stop_reading(talk: Talk) -> None:
            await talk.envelope()
            await asyncio.Event().wait()

        async with (
            HostileServer(greeting(mode, stop_reading)) as server,
            a_session(server.port, timeouts=BRIEF) as session,
        ):
            [outcome] = await send(session, a_mail(body=LARGE))
            rest = await server.talks[0].until_gone()

            assert isinstance(outcome, Broken)
            assert outcome.stage is Stage.BODY
            assert len(rest) < len(LARGE)
            assert not rest.endswith(b"\r\n.\r\n")

    async def test_memory_stays_bounded_while_the_relay_does_not_read(self) -> None:
        async def stop_reading(talk: Talk) -> None:
            await talk.envelope()
            await asyncio.Event().wait()

        async with (
            HostileServer(greeting(Mode.PIPELINING, stop_reading)) as server,
            a_session(server.port) as session,
        ):
            submit(session, a_mail(body=LARGE))
            await eventually(lambda: session._outlet.paused, "the transport is full")

            assert session._transport.get_write_buffer_size() < 4 * 64 * 1024
            assert not session.ready()

    async def test_the_mails_own_deadline(self) -> None:
        async with HostileServer(greeting(Mode.PLAIN, silent)) as server, a_session(server.port) as session:
            async with asyncio.timeout(SECONDS):
                [outcome] = await asyncio.gather(*submit(session, a_mail(), seconds=0.1))
            assert isinstance(outcome, Broken)
            assert "deadline" in outcome.text

    @EVERY_MODE
    async def test_a_trickled_reply(self, mode: Mode) -> None:
        async def drip(talk: Talk) -> None:
            await talk.expect("MAIL")
            while True:
                await talk.trickle("250-")
                await asyncio.sleep(0.01)
                await talk.trickle("x\r\n")

        outcome = await outcome_of(mode, drip, timeouts=BRIEF)

        assert isinstance(outcome, Lost if mode is Mode.CHUNKING else Broken)

    async def test_other_connections_go_on(self) -> None:
        async def good(talk: Talk) -> None:
            await talk.greet()
            await talk.mail()

        async with (
            HostileServer(greeting(Mode.PLAIN, silent), good) as server,
            a_session(server.port) as stalled,
            a_session(server.port) as fine,
        ):
            [stuck] = submit(stalled, a_mail(1))
            [outcome] = await send(fine, a_mail(2))

            assert isinstance(outcome, Accepted)
            assert not stuck.done()

    async def test_quit(self) -> None:
        async with (
            HostileServer(greeting(Mode.PLAIN, silent)) as server,
            a_session(server.port, timeouts=BRIEF) as session,
        ):
            async with asyncio.timeout(SECONDS):
                await session.close(SECONDS)
            assert not session.usable

    async def test_close_gives_unfinished_mails_up_at_its_time_out(self) -> None:
        async with (
            HostileServer(greeting(Mode.PLAIN, silent_after_the_dot)) as server,
            a_session(server.port) as session,
        ):
            [stuck] = submit(session, a_mail())
            await eventually(lambda: bool(server.talks[0].seen[-1:] == [b".\r\n"]), "the relay has the mail")
            await session.close(0.1)
            assert isinstance(stuck.result(), Lost)
