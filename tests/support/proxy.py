"""A TCP proxy that makes the network misbehave between two real programs: it can stall, cut, trickle, split and delay.

    async with Proxy(sink.port) as proxy:
        …                  # talk to proxy.port
        proxy.stall()      # packets vanish on the way, as with a pulled cable: no FIN, no RST
        proxy.go_on()      # they arrive after all
        proxy.cut()        # every connection ends by RST

What passes may be watched, and answers held back, by a `Watch` for each connection: see `tests/faults/statements.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from tests.support.listening import HOST, Listening

READ_OCTETS = 65536
CONNECT_SECONDS = 10.0
RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close(2) then sends RST


class Cut(Exception):
    """Raised by a watch: the connection ends here, and what it was shown last does not pass."""


class Watch(Protocol):
    """Sees one connection. What it returns passes on; it may raise Cut."""

    def to_server(self, data: bytes) -> bytes:
        """The client said `data`."""

    def to_client(self, data: bytes) -> bytes:
        """The server said `data`."""


class Blind:
    """Lets everything pass."""

    def to_server(self, data: bytes) -> bytes:
        return data

    def to_client(self, data: bytes) -> bytes:
        return data


@dataclass(slots=True)
class Pace:
    """How octets pass: `delay` seconds before each piece, pieces of at most `octets` (0: as they come)."""

    delay: float = 0.0
    octets: int = 0


@dataclass(eq=False, slots=True)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def end(self, *, reset: bool) -> None:
        for writer in (self.client, self.server):
            sock = writer.get_extra_info("socket")
            if reset and sock is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            writer.transport.abort()


@dataclass(slots=True)
class Proxy:
    """Listens on `port` and speaks with `target_port`, both on loopback.

    Args:
        target_port: the real server's.
        watch: makes the watch of each new connection.
        to_server, to_client: the pace of each direction; may be changed at any time.
    """

    target_port: int
    watch: Callable[[], Watch] = Blind
    to_server: Pace = field(default_factory=Pace)
    to_client: Pace = field(default_factory=Pace)
    port: int = 0
    connections: int = 0
    cuts: int = 0
    _refusing: bool = False
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _links: set[_Link] = field(default_factory=set)
    _listening: Listening = field(default_factory=Listening)

    async def __aenter__(self) -> Self:
        self._flowing.set()
        self.port = self._listening.opened(await asyncio.start_server(self._serve, HOST, self.port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.close(self.cut)

    @property
    def open_links(self) -> int:
        """Connections that stand."""
        return len(self._links)

    def stall(self) -> None:
        """Let nothing pass in either direction. New connections are accepted, and hear nothing."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Let what was held back, and all else, pass."""
        self._flowing.set()

    def cut(self, *, reset: bool = True) -> None:
        """End every connection: by RST, or else by FIN. What was under way is lost."""
        self.cuts += len(self._links)
        for link in list(self._links):
            link.end(reset=reset)

    def refuse(self) -> None:
        """End new connections at once."""
        self._refusing = True

    def accept(self) -> None:
        """Serve new connections again."""
        self._refusing = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._listening.serve(task)
        self.connections += 1
        try:
            if self._refusing:
                return
            async with asyncio.timeout(CONNECT_SECONDS):
                from_server, to_server = await asyncio.open_connection(HOST, self.target_port)
        except OSError:  # nobody there: the client is told so
            return
        finally:
            if self._refusing or task.cancelling():
                writer.transport.abort()
        link, watch = _Link(writer, to_server), self.watch()
        self._links.add(link)
        try:
            await self._both(
                self._pass(reader, to_server, watch.to_server, self.to_server),
                self._pass(from_server, writer, watch.to_client, self.to_client),
            )
        except (Cut, OSError):
            self.cuts += 1
            link.end(reset=True)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._links.discard(link)
            link.end(reset=False)

    async def _both(self, *ways: Coroutine[Any, Any, None]) -> None:
        """Run both directions until one ends."""
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: Callable[[bytes], bytes], pace: Pace
    ) -> None:
        while data := await reader.read(READ_OCTETS):
            passing = watched(data)
            step = pace.octets or len(passing)
            for start in range(0, len(passing), max(1, step)):
                if pace.delay:
                    await asyncio.sleep(pace.delay)
                await self._flowing.wait()
                writer.write(passing[start : start + step])
                await writer.drain()
