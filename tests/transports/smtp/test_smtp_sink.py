"""Against a relay that others wrote: smtp-sink of Debian's postfix package."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator

import pytest

from mailworkers.replies import Accepted, Deferred, Outcome, Rejected
from mailworkers.transports.smtp.session import SmtpSession
from mailworkers.transports.smtp.wire import Mode
from tests.support.waiting import eventually
from tests.transports.smtp.sending import a_mail, a_session, a_transport, send_within_window

SMTP_SINK = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
BACKLOG = "100"
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(SMTP_SINK is None, reason="smtp-sink is missing: it comes with the postfix package"),
]


@pytest.fixture
async def sink_port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """A running smtp-sink; its options are the fixture's parameter."""
    options = getattr(request, "param", ())
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    user = ("-u", "postfix") if os.geteuid() == 0 else ()
    assert SMTP_SINK is not None
    process = await asyncio.create_subprocess_exec(SMTP_SINK, *user, *options, f"127.0.0.1:{port}", BACKLOG)
    try:

        async def listening() -> bool:
            session = await a_transport(port).connect()
            if isinstance(session, SmtpSession):
                session.abort()
            return isinstance(session, SmtpSession)

        await eventually(listening, "smtp-sink listens")
        yield port
    finally:
        process.terminate()
        await process.wait()


async def send_some(port: int, mode: Mode | None) -> list[Outcome]:
    async with a_session(port, mode, mails_per_connection=1000) as session:
        return await send_within_window(session, [a_mail(n) for n in range(100)])


@pytest.mark.parametrize("mode", [Mode.PLAIN, Mode.PIPELINING])
async def test_it_takes_every_mail(sink_port: int, mode: Mode) -> None:
    assert [type(outcome) for outcome in await send_some(sink_port, mode)] == [Accepted] * 100


@pytest.mark.parametrize("sink_port", [("-e",), ("-p",), ("-P",)], indirect=True)
async def test_it_takes_every_mail_although_it_offers_nothing(sink_port: int) -> None:
    assert [type(outcome) for outcome in await send_some(sink_port, None)] == [Accepted] * 100


@pytest.mark.parametrize(
    ("sink_port", "end"),
    [(("-r", "RCPT"), Deferred), (("-f", "RCPT"), Rejected), (("-f", "."), Rejected), (("-r", "DATA"), Deferred)],
    indirect=["sink_port"],
)
async def test_it_refuses_every_mail(sink_port: int, end: type[Outcome]) -> None:
    assert [type(outcome) for outcome in await send_some(sink_port, None)] == [end] * 100
