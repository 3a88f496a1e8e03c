"""What the tests of this package send, and how they connect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mailworkers.mail.message import Envelope, WireMail
from mailworkers.replies import Outcome
from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.connect import Relay, SmtpTransport
from mailworkers.transports.smtp.session import SmtpSession
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.wire import Mode

SECONDS = 10.0  # more than any of these conversations may take on a slow machine


def a_mail(number: int = 1, *, to: Sequence[str] = ("ann@example.org",), body: bytes = b"Hi Ann\r\n") -> WireMail:
    header = b"From: ben@example.com\r\nSubject: Hello\r\nMessage-ID: <%d@example.com>\r\n\r\n" % number
    return WireMail(Envelope("ben@example.com", tuple(to)), header + body)


def a_transport(
    port: int, mode: Mode | None = None, timeouts: StageTimeouts | None = None, **relay: Any
) -> SmtpTransport:
    address = {"host": "127.0.0.1", "port": port, "tls": "none", "ehlo_name": "tests.example", **relay}
    return SmtpTransport(Relay(**address), timeouts, mode)


@asynccontextmanager
async def a_session(
    port: int, mode: Mode | None = None, timeouts: StageTimeouts | None = None, **relay: Any
) -> AsyncIterator[SmtpSession]:
    """A session that is aborted at the end, whatever the test left."""
    session = await a_transport(port, mode, timeouts, **relay).connect()
    assert isinstance(session, SmtpSession), session
    try:
        yield session
    finally:
        session.abort()


def submit(session: SmtpSession, *mails: WireMail, seconds: float = SECONDS) -> list[Ending]:
    deadline = asyncio.get_running_loop().time() + seconds
    return [session.submit(mail, deadline) for mail in mails]


async def send(session: SmtpSession, *mails: WireMail) -> list[Outcome]:
    """Submit all at once and wait for every outcome."""
    async with asyncio.timeout(SECONDS):
        return list(await asyncio.gather(*submit(session, *mails)))


async def send_within_window(session: SmtpSession, mails: Sequence[WireMail]) -> list[Outcome]:
    """As a worker does: never more than the session is ready for."""
    waiting: list[Ending] = []
    outcomes: list[Outcome] = []
    async with asyncio.timeout(SECONDS):
        for mail in mails:
            while not session.ready():
                outcomes.append(await waiting.pop(0))
            waiting += submit(session, mail)
        return outcomes + [await ending for ending in waiting]
