"""The transport that takes everything keeps the contract of sessions."""

from __future__ import annotations

import asyncio

from mailworkers.bench.mails import Mails
from mailworkers.bench.null_transport import NullTransport
from mailworkers.replies import Accepted


async def test_it_accepts_each_mail_in_its_turn_and_no_more_than_may_stand_in_line() -> None:
    session = await NullTransport().connect()
    mail = Mails(3_000).wire(1)
    endings = []
    while session.ready():
        endings.append(session.submit(mail, 0.0))

    assert len(endings) == session.window + session.line
    assert not any(ending.done() for ending in endings)
    assert session.idle_since is None

    assert all(isinstance(outcome, Accepted) for outcome in await asyncio.gather(*endings))
    assert session.ready()
    assert session.idle_since is not None

    await session.close(1.0)
    assert not session.usable
