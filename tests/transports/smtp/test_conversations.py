"""The order of commands and replies: pipelined, out of turn, told to go, given up.

Broken means: certainly not sent. Lost means: nobody here can know. A reply means what it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from mailworkers.replies import Accepted, Broken, Deferred, Rejected, Stage, Throttled
from mailworkers.transports.smtp.session import SmtpSession
from mailworkers.transports.smtp.wire import Mode
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually
from tests.transports.smtp.relays import (
    BRIEF,
    BY_DATA,
    EVERY_MODE,
    LARGE,
    after_one_mail,
    greeting,
    outcome_of,
    silent,
    take_chunked,
)
from tests.transports.smtp.sending import SECONDS, a_mail, a_session, send, submit


class TestPlainIsPlain:
    async def test_a_second_reply_in_the_same_packet_is_never_paired_with_a_later_command(self) -> None:
        async def double(talk: Talk) -> None:
            await talk.expect("MAIL")
            await talk.send("250 ok", "250 ok")
            await talk.until_gone()

        outcome = await outcome_of(Mode.PLAIN, double)

        assert isinstance(outcome, Broken)
        assert "without being asked" in outcome.text


class TestPipelining:
    async def test_replies_split_over_packets(self) -> None:
        async def split(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.trickle("250-2.1.0 fine\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n")
            await talk.content()
            await talk.trickle("250 2.0.0 taken\r\n")

        async with HostileServer(greeting(Mode.PIPELINING, split)) as server, a_session(server.port) as session:
            [outcome] = await send(session, a_mail())
            assert isinstance(outcome, Accepted)

    async def test_data_accepted_although_every_recipient_was_refused(self) -> None:
        async def odd(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.send("250 ok", "550 5.1.1 no such user", "354 go on")
            assert await talk.content() == b""
            await talk.send("554 5.5.1 nobody to send to")
            await talk.mail()

        async with HostileServer(greeting(Mode.PIPELINING, odd)) as server, a_session(server.port) as session:
            refused, accepted = await send(session, a_mail(1), a_mail(2))

            assert isinstance(refused, Rejected)
            assert refused.reply is not None
            assert refused.reply.stage is Stage.RCPT
            assert isinstance(accepted, Accepted)

    async def test_mail_refused_is_the_answer_although_the_rest_is_out_of_sequence(self) -> None:
        async def refuse(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.send("550 5.7.1 sender not allowed", "503 5.5.1 MAIL first", "503 5.5.1 RCPT first")
            await talk.mail()

        async with HostileServer(greeting(Mode.PIPELINING, refuse)) as server, a_session(server.port) as session:
            [refused] = await send(session, a_mail(1))
            [accepted] = await send(session, a_mail(2))

            assert isinstance(refused, Rejected)
            assert refused.policy
            assert refused.reply is not None
            assert refused.reply.stage is Stage.MAIL
            assert isinstance(accepted, Accepted)

    async def test_data_refused_is_followed_by_rset(self) -> None:
        async def refuse(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.send("250 ok", "250 ok", "451 4.3.0 not now")
            await talk.expect("RSET")
            await talk.send("250 ok")
            await talk.mail()

        async with HostileServer(greeting(Mode.PIPELINING, refuse)) as server, a_session(server.port) as session:
            refused, accepted = await send(session, a_mail(1), a_mail(2))

            assert isinstance(refused, Deferred)
            assert isinstance(accepted, Accepted)

    async def test_a_hung_rset_does_not_hide_the_refusal(self) -> None:
        async def refuse_then_hang(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT")
            await talk.send("250 ok", "550 5.1.1 no such user")
            await talk.expect("DATA")
            await talk.send("554 5.5.1 no valid recipients")
            await talk.until_gone()

        async with (
            HostileServer(greeting(Mode.PIPELINING, refuse_then_hang)) as server,
            a_session(server.port, timeouts=BRIEF) as session,
        ):
            refused, next_one = await send(session, a_mail(1), a_mail(2))

            assert isinstance(refused, Rejected)
            assert isinstance(next_one, Broken)
            assert "RSET" in next_one.text

    async def test_the_next_envelope_leaves_with_the_content_before_it(self) -> None:
        async def count_packets(talk: Talk) -> None:
            await talk.envelope()
            await talk.content()
            await talk.expect("MAIL", "RCPT", "DATA")  # before the first mail's last reply
            await talk.send("250 first taken", "250 ok", "250 ok", "354 go on")
            await talk.content()
            await talk.send("250 second taken")

        async with HostileServer(greeting(Mode.PIPELINING, count_packets)) as server, a_session(server.port) as session:
            outcomes = await send(session, a_mail(1), a_mail(2))
            assert [outcome.reply.text for outcome in outcomes if isinstance(outcome, Accepted)] == [
                "first taken",
                "second taken",
            ]


class TestOutOfTurn:
    @EVERY_MODE
    async def test_a_reply_too_many_drops_the_connection(self, mode: Mode) -> None:
        async def one_too_many(talk: Talk) -> None:
            await talk.send("250 and another one")
            await talk.until_gone()

        async with HostileServer(after_one_mail(mode, one_too_many)) as server, a_session(server.port) as session:
            [first] = await send(session, a_mail(1))
            await eventually(lambda: not session.usable, "the connection is dropped")
            [second] = await send(session, a_mail(2))

            assert isinstance(first, Accepted)
            assert isinstance(second, Broken)
            assert second.closing

    async def test_in_the_same_packet_as_the_last_reply(self) -> None:
        async def two_finals(talk: Talk) -> None:
            await talk.envelope()
            await talk.content()
            await talk.send("250 taken", "250 taken again")
            await talk.until_gone()

        async with HostileServer(greeting(Mode.PLAIN, two_finals)) as server, a_session(server.port) as session:
            [outcome] = await send(session, a_mail())
            assert isinstance(outcome, Accepted)
            assert not session.usable

    @pytest.mark.parametrize("replies", [("354 go on",), ("250 ok", "354 go on"), ("250 ok", "250 ok", "250 ok")])
    async def test_a_reply_that_cannot_stand_here(self, replies: tuple[str, ...]) -> None:
        async def answer(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.send(*replies)
            await talk.until_gone()

        outcome = await outcome_of(Mode.PIPELINING, answer)

        assert isinstance(outcome, Broken)
        assert "out of turn" in outcome.text

    @pytest.mark.parametrize("kind", ["garbage", "endless", "megabyte"])
    @BY_DATA
    async def test_what_is_no_reply(self, mode: Mode, kind: str) -> None:
        async def rave(talk: Talk) -> None:
            await talk.expect("MAIL")
            while kind == "endless":
                await talk.send(*["250-and then"] * 100)
            await talk.send("\x00\xff what?" if kind == "garbage" else "250 " + "x" * 1_000_000)
            await talk.until_gone()

        outcome = await outcome_of(mode, rave)

        assert isinstance(outcome, Broken)

    async def test_the_content_refused_before_it_was_read(self) -> None:
        async def refuse_early(talk: Talk) -> None:
            await talk.envelope()
            await talk.send("552 5.3.4 too large")
            await asyncio.Event().wait()

        outcome = await outcome_of(Mode.PIPELINING, refuse_early, body=LARGE)

        assert isinstance(outcome, Rejected)
        assert "too large" in outcome.text

    async def test_the_content_accepted_before_it_was_read(self) -> None:
        async def accept_early(talk: Talk) -> None:
            await talk.envelope()
            await talk.send("250 whatever it says")
            await asyncio.Event().wait()

        outcome = await outcome_of(Mode.PIPELINING, accept_early, body=LARGE)

        assert isinstance(outcome, Broken)


class TestToldToGo:
    @EVERY_MODE
    async def test_at_rest(self, mode: Mode) -> None:
        async def idle(talk: Talk) -> None:
            await talk.send("421 4.4.2 idle for too long")

        async with HostileServer(after_one_mail(mode, idle)) as server, a_session(server.port) as session:
            await send(session, a_mail(1))
            await eventually(lambda: not session.usable, "the session knows")

    @EVERY_MODE
    async def test_on_a_kept_connection_spends_no_attempt(self, mode: Mode) -> None:
        async def go(talk: Talk) -> None:
            await talk.expect("MAIL")
            await talk.send("421 4.3.2 shutting down")
            await talk.until_gone()

        async with HostileServer(after_one_mail(mode, go)) as server, a_session(server.port) as session:
            await send(session, a_mail(1))
            outcomes = await send(session, a_mail(2), a_mail(3))

            for outcome in outcomes:
                assert isinstance(outcome, Broken)
                assert outcome.closing

    @EVERY_MODE
    async def test_on_a_fresh_connection_asks_for_less(self, mode: Mode) -> None:
        async def go(talk: Talk) -> None:
            await talk.expect("MAIL")
            await talk.send("421 4.7.0 too many mails, try again in 5 minutes")
            await talk.until_gone()

        outcome = await outcome_of(mode, go)

        assert isinstance(outcome, Throttled)
        assert outcome.retry_after == 300

    async def test_between_the_replies_of_a_group(self) -> None:
        async def between(talk: Talk) -> None:
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.send("250 ok", "421 4.3.2 shutting down")
            await talk.until_gone()

        async with (
            HostileServer(after_one_mail(Mode.PIPELINING, between)) as server,
            a_session(server.port) as session,
        ):
            await send(session, a_mail(1))
            second, third = await send(session, a_mail(2), a_mail(3))

            assert isinstance(second, Broken)
            assert second.closing
            assert isinstance(third, Broken)
            assert third.closing

    async def test_as_the_answer_to_the_content_it_is_no_loss(self) -> None:
        async def go(talk: Talk) -> None:
            await talk.envelope()
            await talk.content()
            await talk.send("421 4.3.0 no disk")
            await talk.until_gone()

        assert isinstance(await outcome_of(Mode.PIPELINING, go), Throttled)

    async def test_chunks_behind_it_were_not_read(self) -> None:
        async def go(talk: Talk) -> None:
            await take_chunked(talk, "421 4.3.0 no disk")
            await talk.until_gone()

        async with HostileServer(greeting(Mode.CHUNKING, go)) as server, a_session(server.port) as session:
            first, second = await send(session, a_mail(1), a_mail(2))

            assert isinstance(first, Throttled)
            assert isinstance(second, Broken)
            assert second.closing


class TestAbort:
    @BY_DATA
    async def test_before_the_content_left_is_certain(self, mode: Mode) -> None:
        async with HostileServer(greeting(mode, silent)) as server, a_session(server.port) as session:
            [ending] = submit(session, a_mail())
            session.abort()

            outcome = ending.result()

            assert isinstance(outcome, Broken)
            assert outcome.closing, "to be given up by ourselves is no failure of the mail"

    @pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
    def test_nothing_buffered_leaves_any_more(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        async def conversation() -> None:
            resume = asyncio.Event()
            rest = bytearray()

            async def read_later(talk: Talk) -> None:
                await talk.envelope()
                await resume.wait()
                rest.extend(await talk.until_gone())

            async with (
                HostileServer(greeting(Mode.PIPELINING, read_later)) as server,
                a_session(server.port) as session,
            ):
                [ending] = submit(session, a_mail(body=LARGE))
                await eventually(lambda: session._outlet.paused, "the transport is full")
                session.abort()
                resume.set()
                async with asyncio.timeout(SECONDS):
                    await server.talks[0].gone.wait()

                assert isinstance(ending.result(), Broken)
                assert len(rest) < len(LARGE)
                assert b"\r\n.\r\n" not in rest

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(conversation())

    async def test_twice_is_once(self) -> None:
        async with HostileServer(greeting(Mode.PLAIN, silent)) as server, a_session(server.port) as session:
            session.abort()
            session.abort()
            await session.close(1)
            assert isinstance(session, SmtpSession)
            assert not session.ready()
