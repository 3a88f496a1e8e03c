"""Relays that misbehave on their first connections, and are a real Sink on all later ones.

    async with Sink() as sink, HostileServer(takes_and_vanishes(sink), onward(sink)) as relay:
        …

What they take counts at the sink like everything else, so that `hold` sees each mail that arrived twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from tests.support.proxy import READ_OCTETS
from tests.support.sink import MESSAGE_ID, Received, Sink
from tests.support.smtp_server import Script, Talk

_ADDRESS = re.compile(rb"<([^>]*)>")


async def take(talk: Talk, sink: Sink, reply: str = "250 2.0.0 taken") -> None:
    """Take one whole mail by DATA, and answer its content with `reply`, where that is not empty."""
    (mail_from,) = _ADDRESS.findall(await talk.expect("MAIL"))
    await talk.send("250 2.1.0 ok")
    (rcpt_to,) = _ADDRESS.findall(await talk.expect("RCPT"))
    await talk.send("250 2.1.5 ok")
    await talk.expect("DATA")
    await talk.send("354 go on")
    found = MESSAGE_ID.search(await talk.content())
    message_id = found[1].decode() if found else ""
    sink.message_ids[message_id] += 1
    sink.mails.append(Received(mail_from.decode(), (rcpt_to.decode(),), "", b"", message_id, encrypted=False, user=""))
    if reply:
        await talk.send(reply)


def greeting(then: Callable[[Talk], Awaitable[None]], *extensions: str) -> Script:
    """A script that begins as a relay should."""

    async def script(talk: Talk) -> None:
        await talk.greet(*extensions)
        await then(talk)

    return script


def onward(sink: Sink) -> Script:
    """A script that passes everything on to the sink and back, until either side has gone."""

    async def pass_on(talk: Talk) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        ways = [asyncio.create_task(_copy(talk.reader, writer)), asyncio.create_task(_copy(reader, talk.writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()
            talk.writer.transport.abort()

    return pass_on


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_OCTETS):
        writer.write(data)
        await writer.drain()
