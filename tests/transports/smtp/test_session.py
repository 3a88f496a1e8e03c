"""Mails through a kept connection, against a relay that behaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from mailworkers.mail.message import Envelope, WireMail
from mailworkers.replies import Accepted, Broken, Deferred, Outcome, Rejected, Stage
from mailworkers.transports.base import MOST_AT_ONCE
from mailworkers.transports.smtp.outlet import SLICE
from mailworkers.transports.smtp.session import MAX_BYTES_ON_THE_WAY, MAX_CHUNK, WINDOWS
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.wire import Mode, canonical
from tests.support.certificates import Certificates
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually
from tests.transports.smtp.relays import after_one_mail, silent
from tests.transports.smtp.sending import SECONDS, a_mail, a_session, send, send_within_window, submit

MODES = list(Mode)
EVERY_MODE = pytest.mark.parametrize("mode", MODES)
QUICK = StageTimeouts(quit=0.05)  # the shortest stage is how often a session looks at its deadlines
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@EVERY_MODE
class TestEveryMode:
    async def test_a_mail_arrives_as_it_was_composed(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            mail = a_mail(body=b".\r\n..\r\n.leading dots\r\ntrailing.\r\n\r\n")

            [outcome] = await send(session, mail)

            assert isinstance(outcome, Accepted)
            assert (outcome.reply.code, outcome.reply.enhanced) == (250, "2.0.0")
            [received] = sink.mails
            assert received.content == mail.content
            assert (received.mail_from, received.rcpt_to) == ("ben@example.com", ("ann@example.org",))

    async def test_many_mails_each_arrive_once_and_in_order(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode, mails_per_connection=1000) as session:
            outcomes = await send_within_window(session, [a_mail(n) for n in range(300)])

            assert all(isinstance(outcome, Accepted) for outcome in outcomes)
            assert [mail.message_id for mail in sink.mails] == [f"{n}@example.com" for n in range(300)]
            assert sink.connections == 1

    async def test_a_refused_recipient_of_several_is_recorded_and_the_others_get_the_mail(self, mode: Mode) -> None:
        async with (
            Sink(refusals={"bob@example.org": "550 5.1.1 no such user"}) as sink,
            a_session(sink.port, mode) as session,
        ):
            [outcome] = await send(session, a_mail(to=["ann@example.org", "bob@example.org", "cid@example.org"]))

            assert isinstance(outcome, Accepted)
            [refused] = outcome.refused
            assert (refused.email, refused.reply.code, refused.reply.enhanced) == ("bob@example.org", 550, "5.1.1")
            assert sink.mails[0].rcpt_to == ("ann@example.org", "cid@example.org")

    async def test_a_refused_mail_leaves_the_next_unharmed(self, mode: Mode) -> None:
        async with (
            Sink(refusals={"bob@example.org": "550 5.1.1 no such user"}) as sink,
            a_session(sink.port, mode) as session,
        ):
            refused, *accepted = await send_within_window(
                session, [a_mail(1, to=["bob@example.org"]), a_mail(2), a_mail(3), a_mail(4)]
            )

            assert isinstance(refused, Rejected)
            assert refused.hard_bounce
            assert [type(outcome) for outcome in accepted] == [Accepted] * 3
            assert sorted(sink.message_ids) == ["2@example.com", "3@example.com", "4@example.com"]

    async def test_if_one_recipient_may_still_take_it_the_mail_is_tried_again(self, mode: Mode) -> None:
        refusals = {"bob@example.org": "550 5.1.1 no such user", "cid@example.org": "450 4.2.1 busy"}
        async with Sink(refusals=refusals) as sink, a_session(sink.port, mode) as session:
            [outcome] = await send(session, a_mail(to=["bob@example.org", "cid@example.org"]))

            assert isinstance(outcome, Deferred)

    async def test_a_mail_that_cannot_be_sent_ends_in_its_turn(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            bad = WireMail(Envelope("ben@example.com", ("ann@example.org\r\nDATA",)), b"Subject: x\r\n\r\n")
            ended: list[int] = []
            endings = submit(session, a_mail(1), bad, a_mail(2))
            for number, ending in enumerate(endings):
                ending.then = lambda _, number=number: ended.append(number)

            first, refused, last = await asyncio.gather(*endings)

            assert ended == [0, 1, 2]
            assert isinstance(refused, Rejected)
            assert isinstance(first, Accepted)
            assert isinstance(last, Accepted)
            assert len(sink.mails) == 2

    async def test_a_large_mail_arrives_whole(self, mode: Mode) -> None:
        large = a_mail(body=b"." + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n.\r\n") * 60_000)
        assert len(large.content) > 10 * SLICE
        async with Sink() as sink, a_session(sink.port, mode) as session:
            outcomes = await send(session, a_mail(1), large, a_mail(3))

            assert [type(outcome) for outcome in outcomes] == [Accepted] * 3
            assert sink.mails[1].content == large.content

    async def test_a_session_is_used_up_after_its_number_of_mails(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode, mails_per_connection=2) as session:
            first, second = submit(session, a_mail(1), a_mail(2))
            assert not session.usable
            assert not session.ready()

            [late] = await send(session, a_mail(3))

            assert isinstance(await first, Accepted)
            assert isinstance(await second, Accepted)
            assert late == Broken(Stage.MAIL, "the connection takes no further mail", closing=True)
            assert len(sink.mails) == 2

    async def test_close_says_quit_after_the_last_reply(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            [ending] = submit(session, a_mail())

            await session.close(5)

            assert isinstance(ending.result(), Accepted)
            assert sink.commands["QUIT"] == 1
            assert not session.usable

    async def test_it_tells_since_when_it_rests(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            since_connected = session.idle_since
            [ending] = submit(session, a_mail())
            while_sending = session.idle_since
            await ending
            since_sent = session.idle_since

            assert since_connected is not None
            assert while_sending is None
            assert since_sent is not None
            assert since_sent >= since_connected

    async def test_a_cancelled_waiter_harms_nothing(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            first, second = submit(session, a_mail(1), a_mail(2))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await first

            assert isinstance(await second, Accepted)
            assert isinstance(first.result(), Accepted)  # it ended all the same, and is there to be recorded
            assert len(sink.mails) == 2


class TestPlain:
    async def test_never_sends_a_command_before_the_reply(self) -> None:
        async with Sink(extensions=()) as sink, a_session(sink.port) as session:
            assert session.window == 1
            assert session.mode is Mode.PLAIN
            assert isinstance((await send(session, a_mail()))[0], Accepted)

    async def test_resets_after_every_recipient_was_refused(self) -> None:
        async with (
            Sink(extensions=(), refusals={"bob@example.org": "550 5.1.1 no"}) as sink,
            a_session(sink.port) as session,
        ):
            await send(session, a_mail(1, to=["bob@example.org"]))
            await send(session, a_mail(2))

            assert sink.commands["DATA"] == 1
            assert sink.commands["RSET"] == 1


class TestWindow:
    @EVERY_MODE
    async def test_closes_when_it_is_full(self, mode: Mode) -> None:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            endings = submit(session, *[a_mail(n) for n in range(MOST_AT_ONCE)])
            assert not session.ready()

            await endings[0]

            assert session.ready()

    @EVERY_MODE
    async def test_what_stands_in_line_behind_it_has_not_begun(self, mode: Mode) -> None:
        # given a relay that takes everything of what is sent to it, and after a first mail answers nothing
        async with HostileServer(after_one_mail(mode, silent)) as server, a_session(server.port, mode) as session:
            await send(session, a_mail(0))
            endings = submit(session, *[a_mail(n) for n in range(MOST_AT_ONCE)])
            await eventually(lambda: bool(server.talks), "the relay sees the connection")

            # when the connection goes
            session.abort()

            # then only as many are in doubt, or were begun in vain, as keep the connection busy
            outcomes = [await ending for ending in endings]
            in_line = [outcome for outcome in outcomes if isinstance(outcome, Broken) and not outcome.begun]
            assert len(outcomes) - len(in_line) == (WINDOWS[mode] if mode is Mode.CHUNKING else 1)
            assert outcomes[-len(in_line) :] == in_line

    async def test_closes_when_too_much_is_on_the_way(self) -> None:
        body = (b"x" * 70 + b"\r\n") * (MAX_CHUNK // 80)
        async with Sink() as sink, a_session(sink.port, Mode.CHUNKING) as session:
            endings = submit(session, *[a_mail(n, body=body) for n in range(MAX_BYTES_ON_THE_WAY // len(body) + 1)])
            assert len(endings) < session.window
            assert not session.ready()

            await asyncio.gather(*endings)

            assert session.ready()


class TestChunking:
    async def test_is_used_where_it_is_offered(self) -> None:
        async with Sink() as sink, a_session(sink.port) as session:
            await send(session, a_mail(1), a_mail(2))
            assert (sink.commands["BDAT"], sink.commands["DATA"]) == (2, 0)

    async def test_a_large_mail_goes_by_data_so_that_a_refusal_is_cheap(self) -> None:
        async with Sink() as sink, a_session(sink.port) as session:
            await send(session, a_mail(body=b"x\r\n" * MAX_CHUNK))
            assert (sink.commands["BDAT"], sink.commands["DATA"]) == (0, 1)

    async def test_after_a_rest_data_proves_that_the_relay_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mailworkers.transports.smtp.session.TRUST_SECONDS", 0.0)
        async with Sink() as sink, a_session(sink.port) as session:
            await send(session, a_mail(1), a_mail(2), a_mail(3))
            assert (sink.commands["DATA"], sink.commands["BDAT"]) == (2, 1)  # the second began before the first ended


class TestEncrypted:
    @EVERY_MODE
    @pytest.mark.parametrize("tls", ["required", "implicit"])
    @pytest.mark.parametrize("make_loop", LOOPS)
    def test_mails_go_through_tls_on_both_loops(
        self, mode: Mode, tls: str, make_loop: Callable[[], asyncio.AbstractEventLoop], certificates: Certificates
    ) -> None:
        async def conversation() -> None:
            async with (
                Sink(tls=certificates.good, implicit=tls == "implicit", credentials={"ben": "secret"}) as sink,
                a_session(
                    sink.port, mode, tls=tls, ca_file=certificates.authority, user="ben", password="secret"
                ) as session,
            ):
                large = a_mail(2, body=(b"z" * 70 + b"\r\n") * 10_000)
                outcomes = await send(session, a_mail(1), large, a_mail(3))
                await session.close(5)

                assert [type(outcome) for outcome in outcomes] == [Accepted] * 3
                assert all(mail.encrypted and mail.user == "ben" for mail in sink.mails)
                assert sink.mails[1].content == large.content

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(conversation())

    @EVERY_MODE
    @pytest.mark.parametrize("make_loop", LOOPS)
    def test_in_clear_on_both_loops(self, mode: Mode, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        async def conversation() -> list[Outcome]:
            async with Sink() as sink, a_session(sink.port, mode) as session:
                outcomes = await send_within_window(session, [a_mail(n) for n in range(50)])
                await session.close(5)
                await eventually(lambda: not sink._open, "the connection closed")
                return outcomes

        with asyncio.Runner(loop_factory=make_loop) as runner:
            assert [type(outcome) for outcome in runner.run(conversation())] == [Accepted] * 50


@EVERY_MODE
@settings(max_examples=20, deadline=None)
@given(
    bodies=st.lists(
        st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b".", b"\r\n", b"\r\n.\r\n", b"\n.\n"]))).map(
            lambda parts: b"".join(parts).replace(b"\0", b"")
        ),
        max_size=6,
    )
)
def test_any_body_arrives_with_only_its_line_ends_mended(mode: Mode, bodies: list[bytes]) -> None:
    mails = [a_mail(n, body=body) for n, body in enumerate(bodies)]

    async def conversation() -> list[bytes]:
        async with Sink() as sink, a_session(sink.port, mode) as session:
            await send_within_window(session, mails)
            return [mail.content for mail in sink.mails]

    with asyncio.Runner() as runner:
        assert runner.run(conversation()) == [canonical(mail.content) for mail in mails]


async def test_a_mail_whose_deadline_passes_in_line_ends_in_its_turn_and_puts_no_other_in_doubt() -> None:
    # given a relay that has a mail and does not answer yet
    answer = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.greet("8BITMIME")
        await talk.envelope()
        await talk.content()
        await answer.wait()
        await talk.send("250 2.0.0 taken")
        await talk.mail()

    async with HostileServer(slow) as server, a_session(server.port, Mode.PLAIN, QUICK) as session:
        [first] = submit(session, a_mail(1))
        [late] = submit(session, a_mail(2), seconds=0)
        [last] = submit(session, a_mail(3))

        # when the deadline of one behind it passes, and the relay answers then
        await eventually(lambda: session._backlog.in_line == 1, "it has left the line")
        answer.set()

        # then only that one has not gone
        async with asyncio.timeout(SECONDS):
            assert isinstance(await first, Accepted)
            outcome = await late
            assert isinstance(outcome, Broken)
            assert not outcome.begun
            assert isinstance(await last, Accepted)
        assert session.usable


class TestRecall:
    @EVERY_MODE
    async def test_what_stands_in_line_ends_behind_what_is_under_way_and_the_connection_stays(self, mode: Mode) -> None:
        # given a relay that has as much as may be under way
        async with Sink() as sink, a_session(sink.port, mode) as session:
            await send(session, a_mail(100))
            endings = submit(session, *[a_mail(n) for n in range(MOST_AT_ONCE)])
            session.recall("told so")

            # then only that is sent, and the next mail goes the same way
            outcomes = await asyncio.gather(*endings)
            sent = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
            assert outcomes[len(sent) :] == [Broken(Stage.MAIL, "told so", closing=True, begun=False)] * (
                MOST_AT_ONCE - len(sent)
            )
            assert len(sent) == len(sink.mails) - 1 == (WINDOWS[mode] if mode is Mode.CHUNKING else 1)
            assert isinstance((await send(session, a_mail(99)))[0], Accepted)

    @EVERY_MODE
    @pytest.mark.parametrize("refusal", ["550 5.7.1 refused by policy", "530 5.7.0 log in first"])
    async def test_a_refusal_that_must_be_heeded_first_takes_the_line_back(self, mode: Mode, refusal: str) -> None:
        async with (
            Sink(refusals={"bob@example.org": refusal}) as sink,
            a_session(sink.port, mode) as session,
        ):
            mails = [a_mail(n, to=["bob@example.org"]) for n in range(MOST_AT_ONCE)]

            outcomes = await asyncio.gather(*submit(session, *mails))

            in_line = [outcome for outcome in outcomes if isinstance(outcome, Broken) and not outcome.begun]
            assert MOST_AT_ONCE - len(in_line) <= WINDOWS[mode]
            assert session.usable

    async def test_a_refusal_of_one_recipient_leaves_the_line_as_it_is(self) -> None:
        async with (
            Sink(refusals={"bob@example.org": "550 5.1.1 no such user"}) as sink,
            a_session(sink.port, Mode.PIPELINING) as session,
        ):
            first, *others = await asyncio.gather(
                *submit(session, a_mail(1, to=["bob@example.org"]), *[a_mail(n) for n in range(2, 6)])
            )

            assert isinstance(first, Rejected)
            assert all(isinstance(outcome, Accepted) for outcome in others)
