"""A relay that takes everything and remembers it: PIPELINING, CHUNKING, STARTTLS, AUTH, SMTPUTF8.

It runs on the test's own loop and is quick enough to be sent thousands of mails.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r\n[ \t]+)?<?([^>\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PATH = re.compile(rb"(?i)(?:FROM|TO):<([^>]*)>(.*)")


@dataclass(frozen=True, slots=True)
class Received:
    """One accepted mail: envelope, MAIL's parameters, and its octets after unstuffing."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    parameters: str
    content: bytes
    message_id: str
    encrypted: bool
    user: str


@dataclass(slots=True)
class Sink:
    """Use it as `async with Sink() as sink:`; then `sink.port`, `sink.mails`, `sink.message_ids`.

    Args:
        extensions: EHLO keywords beside STARTTLS and AUTH, which follow from the other arguments.
        tls: the server's side of TLS; `implicit` from the first byte, else offered as STARTTLS.
        credentials: user → password; AUTH is then required.
        refusals: recipient → the reply to its RCPT.
        keep_content: False where only counts matter.
    """

    extensions: tuple[str, ...] = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 0", "ENHANCEDSTATUSCODES")
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    credentials: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    keep_content: bool = True
    mails: list[Received] = field(default_factory=list)
    message_ids: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[_Connection] = field(default_factory=set)
    _upgrades: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, ssl=self.tls if self.implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            connection.transport.abort()
        for upgrade in self._upgrades:
            upgrade.cancel()
        await asyncio.gather(*self._upgrades, return_exceptions=True)
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._pieces: list[bytes] = []  # of a content that is not complete: joined once, not with each piece
        self._held = 0
        self._tail = b""
        self._replies: list[bytes] = []
        self._encrypted = sink.implicit
        self._user = ""
        self._content_left = -1  # octets of a chunk
        self._in_data = False
        self._searched = 0
        self._upgrading = False
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._sink.connections += 1
        self._sink._open.add(self)
        self.transport.write(b"220 sink.example ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink._open.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._in_data or self._content_left >= 0:
            self._pieces.append(data)
            self._held += len(data)
            if self._is_incomplete(data):
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._held = 0
        self._buffer = self._buffer + data if self._buffer else data
        if not self._upgrading:
            self._go_on()

    def _is_incomplete(self, data: bytes) -> bool:
        if self._content_left >= 0:
            return len(self._buffer) + self._held < self._content_left
        seen = self._tail + data
        self._tail = seen[-4:]
        return b"\r\n.\r\n" not in seen

    def _go_on(self) -> None:
        while self._step():
            pass
        if self._replies:
            self.transport.write(b"".join(self._replies))
            self._replies.clear()

    def _step(self) -> bool:
        if self._in_data:
            return self._take_data()
        if self._content_left >= 0:
            return self._take_chunk()
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        self._command(line)
        return not self._upgrading

    def _take_data(self) -> bool:
        if self._buffer.startswith(b".\r\n"):
            content, self._buffer = b"", self._buffer[3:]
        else:
            end = self._buffer.find(b"\r\n.\r\n", self._searched)
            if end < 0:
                self._searched = max(0, len(self._buffer) - 4)
                self._tail = (b"\r\n" + self._buffer)[-4:]
                return False
            self._searched = 0
            content, self._buffer = self._buffer[: end + 2], self._buffer[end + 5 :]
        self._in_data = False
        if content.startswith(b"."):
            content = content[1:]
        self._accept(content.replace(b"\r\n..", b"\r\n."))
        return True

    def _take_chunk(self) -> bool:
        if len(self._buffer) < self._content_left:
            return False
        content, self._buffer = self._buffer[: self._content_left], self._buffer[self._content_left :]
        self._content_left = -1
        if self._rcpt_to:
            self._accept(content)
        else:
            self._reply("554 5.5.1 no valid recipients")
        return True

    def _accept(self, content: bytes) -> None:
        sink = self._sink
        found = MESSAGE_ID.search(content)
        message_id = found[1].decode("utf-8", "replace") if found else ""
        sink.message_ids[message_id] += 1
        kept = content if sink.keep_content else b""
        envelope = (self._mail_from or "", tuple(self._rcpt_to), self._parameters)
        sink.mails.append(Received(*envelope, kept, message_id, self._encrypted, self._user))
        self._reset()
        self._reply(f"250 2.0.0 taken as {len(sink.mails)}")

    def _reply(self, text: str) -> None:
        self._replies.append(text.encode() + b"\r\n")

    def _reset(self) -> None:
        self._mail_from: str | None = None
        self._parameters = ""
        self._rcpt_to: list[str] = []

    def _command(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        name = verb.decode("ascii", "replace").upper()
        self._sink.commands[name] += 1
        method = getattr(self, f"_on_{name.lower()}", None)
        if method is None:
            self._reply("500 5.5.2 no such command")
        elif name in ("MAIL", "RCPT", "DATA", "BDAT") and self._sink.credentials and not self._user:
            self._reply("530 5.7.0 authentication required")
        else:
            method(rest)

    def _on_ehlo(self, _: bytes) -> None:
        offers = ["sink.example", *self._sink.extensions]
        if self._sink.tls and not self._encrypted:
            offers.append("STARTTLS")
        if self._sink.credentials and (self._encrypted or not self._sink.tls):
            offers.append("AUTH PLAIN LOGIN")
        self._replies += [f"250-{offer}\r\n".encode() for offer in offers[:-1]]
        self._reply(f"250 {offers[-1]}")

    def _on_helo(self, _: bytes) -> None:
        self._reply("250 sink.example")

    def _on_starttls(self, _: bytes) -> None:
        if self._sink.tls is None or self._encrypted:
            self._reply("502 5.5.1 no STARTTLS here")
            return
        self._upgrading = True
        self._buffer = b""
        self.transport.pause_reading()
        self.transport.write(b"220 2.0.0 go ahead\r\n")
        upgrade = asyncio.get_running_loop().create_task(self._upgrade(self._sink.tls))
        self._sink._upgrades.add(upgrade)
        upgrade.add_done_callback(self._sink._upgrades.discard)

    async def _upgrade(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self.transport, self, context, server_side=True, ssl_handshake_timeout=10)
        except OSError:  # the client did not like the certificate
            self.transport.abort()
            return
        if upgraded is not None:
            self._encrypted = True
            self._upgrading = False
            self.transport = upgraded
            self._go_on()

    def _on_auth(self, rest: bytes) -> None:
        method, _, response = rest.partition(b" ")
        if method.upper() != b"PLAIN" or not response:
            self._reply("504 5.5.4 PLAIN with an initial response, please")
            return
        _, user, password = base64.b64decode(response).decode().split("\0")
        if self._sink.credentials.get(user) == password:
            self._user = user
            self._reply("235 2.7.0 welcome")
        else:
            self._reply("535 5.7.8 wrong credentials")

    def _on_mail(self, rest: bytes) -> None:
        path = _PATH.fullmatch(rest)
        if self._mail_from is not None:
            self._reply("503 5.5.1 nested MAIL")
        elif path is None:
            self._reply("501 5.5.4 syntax")
        else:
            self._mail_from, self._parameters = path[1].decode(), path[2].decode().strip()
            self._reply("250 2.1.0 ok")

    def _on_rcpt(self, rest: bytes) -> None:
        path = _PATH.fullmatch(rest)
        if self._mail_from is None or path is None:
            self._reply("503 5.5.1 MAIL first" if self._mail_from is None else "501 5.5.4 syntax")
            return
        recipient = path[1].decode()
        refusal = self._sink.refusals.get(recipient)
        if refusal is None:
            self._rcpt_to.append(recipient)
        self._reply(refusal or "250 2.1.5 ok")

    def _on_data(self, _: bytes) -> None:
        if self._rcpt_to:
            self._in_data = True
            self._reply("354 end with a dot")
        else:
            self._reply("554 5.5.1 no valid recipients")

    def _on_bdat(self, rest: bytes) -> None:
        size, _, last = rest.partition(b" ")
        assert last.upper() == b"LAST", "chunks are never split here"
        self._content_left = int(size)

    def _on_rset(self, _: bytes) -> None:
        self._reset()
        self._reply("250 2.0.0 ok")

    def _on_noop(self, _: bytes) -> None:
        self._reply("250 2.0.0 ok")

    def _on_quit(self, _: bytes) -> None:
        self._replies.append(b"221 2.0.0 bye\r\n")
        self.transport.write(b"".join(self._replies))
        self._replies.clear()
        self.transport.close()
