"""Connections that are cut off below their sessions."""

from __future__ import annotations

import pytest

from mailworkers.replies import Accepted, Broken, Lost
from mailworkers.transports.smtp.session import SmtpSession
from tests.support.sink import Sink
from tests.transports.smtp.sending import a_mail, a_transport, send


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
async def test_nothing_leaves_after_the_cut(extensions: tuple[str, ...]) -> None:
    async with Sink(extensions=extensions) as sink:
        transport = a_transport(sink.port)
        sessions = [await transport.connect() for _ in range(2)]

        assert transport.cut_off() == 2

        for session in sessions:
            assert isinstance(session, SmtpSession)
            (outcome,) = await send(session, a_mail())
            assert isinstance(outcome, Broken | Lost)
            assert not session.usable
        assert sink.mails == []


async def test_what_is_closed_is_no_line_any_more_and_new_ones_work() -> None:
    async with Sink() as sink:
        transport = a_transport(sink.port)
        session = await transport.connect()
        assert isinstance(session, SmtpSession)
        await session.close(5.0)

        assert transport.cut_off() == 0

        following = await transport.connect()
        assert isinstance(following, SmtpSession)
        (outcome,) = await send(following, a_mail())
        assert isinstance(outcome, Accepted)
        following.abort()
