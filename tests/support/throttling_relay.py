"""A relay that takes so many mails a second and refuses the others; how many can be changed while it runs.

async with ThrottlingRelay(50) as relay:
    …
    relay.allow(200)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self, cast

Refusal = Literal["421 at MAIL", "450 at RCPT", "421 at the greeting"]

TEXTS = {
    "421 at MAIL": b"421 4.7.0 too many mails from you\r\n",
    "450 at RCPT": b"450 4.7.0 too many mails from you\r\n",
    "421 at the greeting": b"421 4.7.0 too many connections and mails from you\r\n",
}


class ThrottlingRelay:
    """Use it as a context manager. `taken` and `refused` hold the monotonic moments of each.

    Args:
        rate: mails a second.
        refusal: how and where it says that it is too much.
        burst: mails that may come at once after a pause.
    """

    def __init__(self, rate: float, refusal: Refusal = "421 at MAIL", burst: float = 10.0) -> None:
        self.refusal = refusal
        self.taken: list[float] = []
        self.refused: list[float] = []
        self.port = 0
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = time.monotonic()
        self._open: set[_Connection] = set()

    def allow(self, rate: float) -> None:
        """From now on so many mails a second."""
        self._fill()
        self._rate, self._burst = rate, max(self._burst, rate / 5)

    def rate(self, last: float) -> float:
        """Mails a second that it took within the last so many seconds."""
        since = time.monotonic() - last
        return sum(moment >= since for moment in self.taken) / last

    def admit(self) -> bool:
        """Whether a mail may come now; it is counted."""
        self._fill()
        if self._tokens < 1 and self.refusal != "421 at the greeting":
            self.refused.append(time.monotonic())
            return False
        self._tokens = max(self._tokens - 1, -self._burst)
        return True

    @property
    def tokens(self) -> float:
        """Mails that may come now."""
        self._fill()
        return self._tokens

    def _fill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + self._rate * (now - self._filled_at))
        self._filled_at = now

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in list(self._open):
            connection.transport.abort()
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, relay: ThrottlingRelay) -> None:
        self._relay = relay
        self._buffer = b""
        self._in_data = False
        self._admitted = False
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._relay._open.add(self)
        if self._relay.refusal == "421 at the greeting" and self._relay.tokens < 1:
            self._relay.refused.append(time.monotonic())
            self.transport.write(TEXTS["421 at the greeting"])
            self.transport.close()
        else:
            self.transport.write(b"220 throttling.example ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay._open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.transport.write(b"".join(self._replies()))
        if self._closing:
            self.transport.close()

    def _replies(self) -> Iterable[bytes]:
        while not self._closing:
            if self._in_data:
                end = self._buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                self._buffer, self._in_data = self._buffer[end + 5 :], False
                self._relay.taken.append(time.monotonic())
                yield b"250 2.0.0 taken\r\n"
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                return
            self._buffer = rest
            yield self._answer(line[:4].upper())

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"EHLO":
            return b"250-throttling.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"
        if verb == b"MAIL":
            return self._ask("421 at MAIL") or b"250 2.1.0 ok\r\n"
        if verb == b"RCPT":
            refusal = self._ask("450 at RCPT")
            self._admitted = refusal is None
            return refusal or b"250 2.1.5 ok\r\n"
        if verb == b"DATA":
            if not self._admitted:
                return b"554 5.5.1 no valid recipients\r\n"
            self._in_data = True
            return b"354 go on\r\n"
        return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n"

    def _ask(self, where: Refusal) -> bytes | None:
        relay = self._relay
        counts_here = relay.refusal == where or (where == "421 at MAIL" and relay.refusal == "421 at the greeting")
        if not counts_here or relay.admit():
            return None
        self._closing = TEXTS[where].startswith(b"421")
        return TEXTS[where]
