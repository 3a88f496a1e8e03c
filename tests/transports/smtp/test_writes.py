"""How many writes mails take: what is submitted together leaves together."""

from __future__ import annotations

import asyncio
from typing import cast

from mailworkers.replies import Accepted
from mailworkers.transports.smtp.session import SmtpSession
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.wire import Mode, Offer
from tests.transports.smtp.sending import a_mail, submit

MAILS = 4
OFFER = Offer(pipelining=True, chunking=True)


class Written:
    """A transport that keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.aborted = False

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """Take any."""

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def a_session(transport: Written) -> SmtpSession:
    return SmtpSession(cast("asyncio.Transport", transport), OFFER, Mode.CHUNKING, StageTimeouts(), 100)


async def test_mails_that_are_submitted_together_leave_in_one_write() -> None:
    transport = Written()
    session = a_session(transport)
    (first,) = submit(session, a_mail())
    await asyncio.sleep(0)
    session.data_received(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n")
    assert isinstance(await first, Accepted)
    transport.writes.clear()

    endings = submit(session, *(a_mail(number) for number in range(MAILS)))
    assert transport.writes == []
    await asyncio.sleep(0)

    assert [data.count(b" LAST\r\n") for data in transport.writes] == [MAILS]
    replies = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n"
    reset = b"250 2.0.0 Ok\r\n"  # before each mail that follows an unanswered chunk
    session.data_received(reset.join([replies] * MAILS))
    assert all(isinstance(outcome, Accepted) for outcome in await asyncio.gather(*endings))
    session.abort()


async def test_what_was_submitted_and_not_written_never_leaves_after_an_abort() -> None:
    transport = Written()
    session = a_session(transport)

    (ending,) = submit(session, a_mail())
    session.abort()
    await asyncio.sleep(0)

    assert transport.writes == []
    assert type(await ending).__name__ == "Broken"
