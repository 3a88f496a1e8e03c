"""What relays do to a mail, as scripts of the hostile server, and what came of it."""

from __future__ import annotations

import pytest

from mailworkers.replies import Outcome
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.wire import Mode
from tests.support.smtp_server import HostileServer, Script, Talk
from tests.transports.smtp.sending import a_mail, a_session, send

BRIEF = StageTimeouts(mail=0.2, rcpt=0.2, data=0.2, block=0.2, final=0.2, rset=0.2, quit=0.2)
OFFERS = {Mode.PLAIN: (), Mode.PIPELINING: ("PIPELINING",), Mode.CHUNKING: ("PIPELINING", "CHUNKING")}
EVERY_MODE = pytest.mark.parametrize("mode", list(Mode))
BY_DATA = pytest.mark.parametrize("mode", [Mode.PLAIN, Mode.PIPELINING])
LARGE = b"x" * 70 + b"\r\n"
LARGE = LARGE * 200_000  # more than the kernel and the transport take while nobody reads


def greeting(mode: Mode, then: Script) -> Script:
    async def script(talk: Talk) -> None:
        await talk.greet(*OFFERS[mode])
        await then(talk)

    return script


def after_one_mail(mode: Mode, then: Script) -> Script:
    """A kept connection: one mail has gone through."""

    async def script(talk: Talk) -> None:
        await talk.greet(*OFFERS[mode])
        if mode is Mode.CHUNKING:
            await take_chunked(talk)
        else:
            await talk.mail()
        await then(talk)

    return script


async def take_chunked(talk: Talk, final: str = "250 2.0.0 taken") -> None:
    await talk.expect("MAIL", "RCPT")
    await talk.chunk()
    await talk.send("250 2.1.0 ok", "250 2.1.5 ok", final)


async def vanish(talk: Talk) -> None:
    talk.vanish()


async def silent(talk: Talk) -> None:
    await talk.until_gone()


async def vanish_before_the_dot(talk: Talk) -> None:
    await talk.envelope()
    await talk.reader.readline()
    talk.vanish()


async def vanish_after_the_dot(talk: Talk) -> None:
    await talk.envelope()
    await talk.content()
    talk.vanish()


async def reset_after_the_dot(talk: Talk) -> None:
    await talk.envelope()
    await talk.content()
    talk.reset()


async def silent_after_the_dot(talk: Talk) -> None:
    await talk.envelope()
    await talk.content()
    await talk.until_gone()


async def outcome_of(
    mode: Mode, script: Script, *, timeouts: StageTimeouts | None = None, body: bytes = b"Hi\r\n"
) -> Outcome:
    async with HostileServer(greeting(mode, script)) as server, a_session(server.port, timeouts=timeouts) as session:
        [outcome] = await send(session, a_mail(body=body))
        assert not session.usable
        return outcome
