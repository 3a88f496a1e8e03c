"""A relay that is far away: everything passes, in order, so many seconds late, and any number of octets is under way.

async with Distance(sink.port, seconds=0.025) as far:
    …                  # talk to far.port: a reply comes 50 ms after its command
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from tests.support.listening import HOST, Listening


@dataclass(slots=True)
class Distance:
    """Listens on `port` and speaks with `target_port`, both on loopback.

    Args:
        target_port: the relay's.
        seconds: one way.
        hiding: EHLO keywords that never arrive, such as "CHUNKING".
    """

    target_port: int
    seconds: float
    hiding: Sequence[str] = ()
    port: int = 0
    _ends: set[_End] = field(default_factory=set)
    _listening: Listening = field(default_factory=Listening)

    async def __aenter__(self) -> Self:
        self.port = self._listening.opened(await asyncio.get_running_loop().create_server(self._near_end, HOST, 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.close(self._abort)

    def _abort(self) -> None:
        for end in list(self._ends):
            end.abort()

    def _near_end(self) -> _End:
        near = _End(self, ())
        self._listening.serve(asyncio.get_running_loop().create_task(self._reach(near)))
        return near

    async def _reach(self, near: _End) -> None:
        far = _End(self, [keyword.encode() for keyword in self.hiding])
        near.other, far.other = far, near
        await asyncio.get_running_loop().create_connection(lambda: far, HOST, self.target_port)
        near.pass_on()

    def opened(self, end: _End) -> None:
        """One end of a connection stands."""
        self._ends.add(end)

    def closed(self, end: _End) -> None:
        """… and has gone."""
        self._ends.discard(end)


class _End(asyncio.Protocol):
    """One end. What it hears leaves at the other, later."""

    def __init__(self, distance: Distance, hidden: Sequence[bytes]) -> None:
        self.other: _End | None = None
        self._distance = distance
        self._hidden = hidden
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._distance.opened(self)

    def data_received(self, data: bytes) -> None:
        for keyword in self._hidden:
            data = data.replace(keyword, b"X-" + b"N" * (len(keyword) - 2))
        self._early.append(data)
        self.pass_on()

    def pass_on(self) -> None:
        """Send what was heard on its way, as soon as there is another end."""
        if self.other is None or self.other._transport is None:
            return
        loop = asyncio.get_running_loop()
        for data in self._early:
            loop.call_later(self._distance.seconds, self.other.say, data)
        self._early.clear()

    def say(self, data: bytes) -> None:
        """What the other end heard arrives here."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._distance.closed(self)
        if self.other is not None:
            asyncio.get_running_loop().call_later(self._distance.seconds, self.other.abort)

    def abort(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()
