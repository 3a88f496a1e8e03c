"""A mail server on loopback that takes everything and delivers nothing: it counts recipients and keeps a few messages.

It speaks enough of RFC 5321 for any sender, with PIPELINING (RFC 2920), 8BITMIME, SMTPUTF8 and SIZE, and it is bounded
in what it keeps and in what one client may make it hold. It is meant for demonstrations: no TLS, no AUTH, no queue.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from mailworkers.errors import PortInUse

HOST = "127.0.0.1"
KEPT_MESSAGES = 8  # enough to look at, whatever the number of mails
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
MAX_LINE_BYTES = 4096  # well above RFC 5321's 512 and what SMTPUTF8 adds
MAX_RECIPIENTS = 1000  # per mail; RFC 5321 asks for 100 at least
END_OF_DATA = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Captured:
    """One mail as it arrived: the envelope and the content without dot-stuffing."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes


class CaptureServer:
    """Counts what arrives: `mails`, `bytes`, how often each recipient was written to; keeps the first few `messages`.

    Args:
        keep: so many of them.
        told: is given each mail, once it is counted.
    """

    def __init__(self, keep: int = KEPT_MESSAGES, told: Callable[[Captured], None] | None = None) -> None:
        self.recipients: Counter[str] = Counter()
        self.messages: list[Captured] = []
        self.mails = 0
        self.bytes = 0
        self._keep = keep
        self._told = told
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Transport] = set()

    async def start(self, port: int = 0) -> int:
        """Listen on loopback and return the port.

        Raises:
            PortInUse: somebody else listens there.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Conversation(self.take, self._clients), HOST, port)
        except OSError as problem:
            raise PortInUse(f"cannot listen on {HOST}:{port}: {problem.strerror}", "Choose another port") from None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port and every conversation."""
        if self._server is not None:
            self._server.close()
            for client in tuple(self._clients):
                client.abort()
            await self._server.wait_closed()

    def take(self, mail: Captured) -> None:
        """Count a mail that was accepted."""
        self.mails += 1
        self.bytes += len(mail.content)
        self.recipients.update(mail.rcpt_to)
        if len(self.messages) < self._keep:
            self.messages.append(mail)
        if self._told is not None:
            self._told(mail)


class _Conversation(asyncio.Protocol):
    """One client. Whatever arrives in one packet is answered in one write."""

    def __init__(self, take: Callable[[Captured], None], clients: set[asyncio.Transport]) -> None:
        self._take = take
        self._clients = clients
        self._input = bytearray()
        self._searched = 0  # of the input, in data mode: no end of data begins before it
        self._in_data = False
        self._mail_from: str | None = None
        self._rcpt_to: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._clients.add(self._transport)
        self._transport.write(b"220 capture.example ESMTP: nothing goes further than here\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._input += data
        replies: list[bytes] = []
        while (reply := self._take_data() if self._in_data else self._take_line()) is not None:
            replies.append(reply)
        self._transport.write(b"".join(replies))
        if replies and replies[-1].startswith((b"221", b"421")):
            self._transport.close()

    def _take_line(self) -> bytes | None:
        """The reply to the next command line; None where none is complete, or the conversation is over."""
        if self._transport.is_closing():
            return None
        end = self._input.find(b"\n")
        if end < 0:
            return b"421 4.7.0 line too long\r\n" if self._give_up(MAX_LINE_BYTES) else None
        line = bytes(self._input[:end]).strip()
        del self._input[: end + 1]
        return self._answer(line)

    def _take_data(self) -> bytes | None:
        """The reply to a whole message. The input begins with the CRLF that ended the DATA line, so that one search
        finds the end of data even where nothing precedes it."""
        end = self._input.find(END_OF_DATA, max(0, self._searched - len(END_OF_DATA)))
        self._searched = len(self._input)
        if end < 0:
            return b"421 4.3.4 message too large\r\n" if self._give_up(MAX_MESSAGE_BYTES) else None
        content = bytes(self._input[: end + 2]).replace(b"\r\n..", b"\r\n.")[2:]
        del self._input[: end + len(END_OF_DATA)]
        self._take(Captured(self._mail_from or "", tuple(self._rcpt_to), content))
        self._reset()
        return b"250 2.0.0 captured\r\n"

    def _give_up(self, bound: int) -> bool:
        if len(self._input) <= bound:
            return False
        self._input.clear()
        self._in_data = False
        return True

    def _reset(self) -> None:
        self._in_data = False
        self._searched = 0
        self._mail_from = None
        self._rcpt_to = []

    def _answer(self, line: bytes) -> bytes:
        verb, _, rest = line.partition(b" ")
        match verb.upper():
            case b"EHLO":
                self._reset()
                size = f"SIZE {MAX_MESSAGE_BYTES}"
                offers = ("capture.example", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", size)
                return b"".join(f"250{'-' if o != size else ' '}{o}\r\n".encode() for o in offers)
            case b"HELO" | b"RSET":
                self._reset()
            case b"MAIL":
                return self._mail(rest)
            case b"RCPT":
                return self._rcpt(rest)
            case b"DATA":
                return self._data()
            case verb if verb != b"NOOP":
                return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"500 5.5.1 unknown command\r\n"
        return b"250 2.0.0 ok\r\n"

    def _mail(self, rest: bytes) -> bytes:
        if self._mail_from is not None:
            return b"503 5.5.1 one sender a mail\r\n"
        self._mail_from = _path(rest)
        return b"250 2.1.0 ok\r\n"

    def _rcpt(self, rest: bytes) -> bytes:
        if self._mail_from is None:
            return b"503 5.5.1 MAIL first\r\n"
        if len(self._rcpt_to) == MAX_RECIPIENTS:
            return b"452 4.5.3 too many recipients\r\n"
        self._rcpt_to.append(_path(rest))
        return b"250 2.1.5 ok\r\n"

    def _data(self) -> bytes:
        if not self._rcpt_to:
            return b"503 5.5.1 RCPT first\r\n"
        self._in_data = True
        self._input[:0] = b"\r\n"
        return b"354 end with a dot\r\n"


def _path(rest: bytes) -> str:
    """The address between the angle brackets of `FROM:<…>` or `TO:<…>`."""
    return rest.partition(b"<")[2].rpartition(b">")[0].decode("utf-8", "replace")
