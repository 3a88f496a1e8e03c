"""Several mails on their way by BDAT, and replies that tell what they are for."""

from __future__ import annotations

import pytest

from mailworkers.replies import Accepted, Deferred, Lost, Rejected
from mailworkers.transports.smtp.wire import Mode
from tests.support.smtp_server import HostileServer, Talk
from tests.transports.smtp.relays import after_one_mail, greeting
from tests.transports.smtp.sending import a_mail, a_session, send

ENVELOPE_TAKEN = ("250 2.1.0 ok", "250 2.1.5 ok")
RESET = "250 2.0.0 reset"


async def test_several_mails_before_the_first_ones_reply() -> None:
    async def read_all_first(talk: Talk) -> None:
        for number in range(4):
            await talk.expect(*(["RSET"] if number else []), "MAIL", "RCPT")
            await talk.chunk()
        for number in range(4):
            await talk.send(*([RESET] if number else []), *ENVELOPE_TAKEN, f"250 2.6.0 taken {number}")

    async with (
        HostileServer(after_one_mail(Mode.CHUNKING, read_all_first)) as server,
        a_session(server.port) as session,
    ):
        _, *outcomes = await send(session, *[a_mail(n) for n in range(5)])
        assert [outcome.reply.text for outcome in outcomes if isinstance(outcome, Accepted)] == [
            f"taken {n}" for n in range(4)
        ]


@pytest.mark.parametrize("codes", [("", "", ""), ("2.0.0 ", "2.0.0 ", "2.0.0 "), ("2.1.0 ", "2.1.5 ", "2.1.0 ")])
async def test_where_replies_do_not_tell_what_they_are_for_one_chunk_goes_alone_and_the_rest_by_data(
    codes: tuple[str, str, str],
) -> None:
    """One reply too many would shift all that follow; DATA's 354 shows such a shift."""
    mail, rcpt, final = (f"250 {code}ok" for code in codes)

    async def go(talk: Talk) -> None:
        await talk.expect("MAIL", "RCPT")
        await talk.chunk()
        await talk.send(mail, rcpt, final)
        for _ in range(2):
            await talk.expect("MAIL", "RCPT", "DATA")
            await talk.send(mail, rcpt, "354 go on")
            await talk.content()
            await talk.send(final)

    async with HostileServer(greeting(Mode.CHUNKING, go)) as server, a_session(server.port) as session:
        outcomes = await send(session, *[a_mail(n) for n in range(3)])
        assert [type(outcome) for outcome in outcomes] == [Accepted] * 3


@pytest.mark.parametrize("twice", ["RSET", "MAIL", "RCPT", "FINAL", "FINAL refused"])
async def test_a_reply_too_many_among_many_is_paired_with_no_other_mail(twice: str) -> None:
    """Given five mails on their way, when the relay answers one command of the second twice, then only what it said before that is believed."""

    async def go(talk: Talk) -> None:
        for number in range(5):
            await talk.expect(*(["RSET"] if number else []), "MAIL", "RCPT")
            await talk.chunk()
        for number in range(5):
            final = "452 4.3.1 no room" if number == 1 and twice == "FINAL refused" else f"250 2.0.0 taken {number}"
            said = {"RSET": RESET, "MAIL": ENVELOPE_TAKEN[0], "RCPT": ENVELOPE_TAKEN[1], "FINAL": final}
            for command, reply in said.items():
                if command != "RSET" or number:
                    await talk.send(*[reply] * (2 if number == 1 and command == twice.partition(" ")[0] else 1))
        await talk.until_gone()

    async with HostileServer(after_one_mail(Mode.CHUNKING, go)) as server, a_session(server.port) as session:
        outcomes = await send(session, *[a_mail(n) for n in range(6)])

        assert not session.usable
        believed = 2 if twice in ("RSET", "MAIL", "RCPT") else 3
        second = Deferred if twice == "FINAL refused" else Accepted
        assert [type(outcome) for outcome in outcomes[:believed]] == [Accepted, Accepted, second][:believed]
        assert [type(outcome) for outcome in outcomes[believed:]] == [Lost] * (6 - believed)


async def test_a_refused_recipient_still_has_its_chunk_read() -> None:
    async def refuse_first(talk: Talk) -> None:
        await talk.expect("MAIL", "RCPT")
        await talk.chunk()
        await talk.expect("RSET", "MAIL", "RCPT")
        await talk.chunk()
        await talk.send(ENVELOPE_TAKEN[0], "550 5.1.1 no such user", "554 5.5.1 no valid recipients")
        await talk.send(RESET, *ENVELOPE_TAKEN, "250 2.0.0 taken")

    async with (
        HostileServer(after_one_mail(Mode.CHUNKING, refuse_first)) as server,
        a_session(server.port) as session,
    ):
        _, refused, accepted = await send(session, a_mail(0), a_mail(1), a_mail(2))

        assert isinstance(refused, Rejected)
        assert refused.hard_bounce
        assert isinstance(accepted, Accepted)
