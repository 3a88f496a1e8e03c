"""A hostile relay: each connection follows a script, which may split, trickle, stall, lie or vanish at any stage.

    async def vanish_after_the_dot(talk: Talk) -> None:
        await talk.greet("PIPELINING")
        await talk.envelope()
        await talk.content()
        talk.vanish()

    async with HostileServer(vanish_after_the_dot) as server:
        …

A script that returns keeps its connection open and silent; a script that waits for ever is cancelled at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Script = Callable[["Talk"], Awaitable[None]]


class Talk:
    """The relay's side of one connection. `seen` is all that arrived, command by command."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen: list[bytes] = []
        self.gone = asyncio.Event()  # the client has closed its side

    async def send(self, *lines: str) -> None:
        """Send lines in one packet."""
        await self.send_raw("".join(f"{line}\r\n" for line in lines).encode())

    async def send_raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def trickle(self, text: str) -> None:
        """Send one octet at a time, each in a packet of its own."""
        for octet in text.encode():
            await self.send_raw(bytes([octet]))
            await asyncio.sleep(0)

    async def expect(self, *verbs: str) -> bytes:
        """Read one line for each verb, and hold it to it. The last line is returned."""
        line = b""
        for verb in verbs:
            line = await self.reader.readuntil(b"\n")
            self.seen.append(line)
            assert line.upper().startswith(verb.encode()), f"{verb} expected, {line!r} came"
        return line

    async def greet(self, *extensions: str) -> None:
        """Say 220 and answer EHLO with `extensions`."""
        await self.send("220 hostile.example ESMTP")
        await self.hello(*extensions)

    async def hello(self, *extensions: str) -> None:
        await self.expect("EHLO")
        offers = ["hostile.example", *extensions]
        await self.send(*[f"250-{offer}" for offer in offers[:-1]], f"250 {offers[-1]}")

    async def envelope(self) -> None:
        """Accept MAIL, one RCPT and DATA, in whatever packets they come."""
        await self.expect("MAIL")
        await self.send("250 2.1.0 ok")
        await self.expect("RCPT")
        await self.send("250 2.1.5 ok")
        await self.expect("DATA")
        await self.send("354 go on")

    async def content(self) -> bytes:
        """Read up to and including the lone dot."""
        content = bytearray()
        while (line := await self.reader.readuntil(b"\n")) != b".\r\n":
            content += line
        self.seen.append(b".\r\n")
        return bytes(content)

    async def chunk(self) -> bytes:
        """Read BDAT and its octets."""
        line = await self.expect("BDAT")
        return await self.reader.readexactly(int(line.split()[1]))

    async def mail(self, reply: str = "250 2.0.0 taken") -> bytes:
        """Take one whole mail by DATA."""
        await self.envelope()
        content = await self.content()
        await self.send(reply)
        return content

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context, ssl_handshake_timeout=10)

    async def until_gone(self) -> bytes:
        """Read until the client closes its side; what it still sent is returned."""
        rest = b""
        with contextlib.suppress(ConnectionError):
            rest = await self.reader.read()
        self.gone.set()
        return rest

    def vanish(self) -> None:
        """End the connection at once, without a word: FIN."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """End the connection by RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class HostileServer:
    """Use it as `async with HostileServer(script, …) as server:`. The first connection follows the first script, and so
    on; the last script serves all further ones. An AssertionError in a script fails the test at the end."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._scripts = scripts
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self.talks: list[Talk] = []
        self.port = port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=2 * 1024 * 1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for talk in self.talks:
            talk.writer.transport.abort()
        await self._server.wait_closed()
        if self._failures and error is None:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        self.talks.append(talk)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._scripts[min(len(self.talks), len(self._scripts)) - 1](talk)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        except AssertionError as failure:
            self._failures.append(failure)
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
