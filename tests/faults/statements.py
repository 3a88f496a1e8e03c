"""What passes between a daemon and PostgreSQL, statement by statement, for cutting or holding the line at a chosen moment.

Only as much of the protocol as is needed (PostgreSQL manual, chapter 55): a client prepares a text under a name by Parse,
and runs it by Bind; the server's ReadyForQuery outside a transaction means that it has committed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.support.proxy import Cut

Moment = Literal["before the server has it", "after the server committed"]
BEFORE: Moment = "before the server has it"
AFTER: Moment = "after the server committed"
READY_AND_COMMITTED = b"Z\x00\x00\x00\x05I"
FLUSH = b"H\x00\x00\x00\x04"
# Parts of the texts of two statements.
CLAIM = b"mailworkers.lease_numbers"
ACK = b"AS r(id, lease, message_id, reply_code, enhanced_code, reply, refused)"


@dataclass(slots=True)
class LoseAnswer:
    """Orders to cut the line at the next runs of one statement. Its method `watch` goes to a Proxy.

    Args:
        text: part of the statement's text, such as its leading comment.
        moment: when to cut.
        times: how many runs lose their connection.
        from_run: the first run that does, counted from 1.
    """

    text: bytes
    moment: Moment
    times: int = 1
    from_run: int = 1
    runs: int = 0
    lost: int = 0

    def watch(self) -> Statements:
        """The watch of one connection."""
        return Statements(self)

    def wanted(self) -> bool:
        """Count one run; whether it loses its connection."""
        self.runs += 1
        if self.runs < self.from_run or self.lost >= self.times:
            return False
        self.lost += 1
        return True


@dataclass(slots=True)
class HoldCommit:
    """Holds the line at the runs of one statement: the server has run it, and waits for the Sync that commits it. Its
    method `watch` goes to a Proxy. Other connections are not touched.

    Args:
        text: part of the statement's text.
    """

    text: bytes
    held: int = 0

    def watch(self) -> Uncommitted:
        """The watch of one connection."""
        return Uncommitted(self)


@dataclass(slots=True)
class Frames:
    """Cuts what a client says into its messages, and knows the runs of one statement."""

    text: bytes
    _unread: bytes = b""
    _started: bool = False  # the start-up message has no type octet
    _names: set[bytes] = field(default_factory=set)

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool, bytes]]:
        """Each whole message: its type, whether it runs the statement, and its octets."""
        self._unread += data
        if not self._started:
            (length,) = struct.unpack("!I", self._unread[:4])
            self._started = True
            yield b"", False, self._taken(length)
        while len(self._unread) >= 5:
            kind, (length,) = self._unread[:1], struct.unpack("!I", self._unread[1:5])
            if len(self._unread) < 1 + length:
                return
            message = self._taken(1 + length)
            yield kind, self._runs(kind, message[5:]), message

    def _taken(self, octets: int) -> bytes:
        message, self._unread = self._unread[:octets], self._unread[octets:]
        return message

    def _runs(self, kind: bytes, body: bytes) -> bool:
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            if self.text in text:
                self._names.add(name)
            else:
                self._names.discard(name)
        return kind == b"B" and body.split(b"\0", 2)[1] in self._names


@dataclass(slots=True)
class Statements:
    """One connection that may be cut."""

    order: LoseAnswer
    _frames: Frames = field(init=False)
    _withheld: bytes | None = None

    def __post_init__(self) -> None:
        self._frames = Frames(self.order.text)

    def to_server(self, data: bytes) -> bytes:
        for _, runs, _ in self._frames.feed(data):
            if runs and self.order.wanted():
                if self.order.moment == BEFORE:
                    raise Cut
                self._withheld = b""
        return data

    def to_client(self, data: bytes) -> bytes:
        if self._withheld is None:
            return data
        self._withheld += data
        if self._withheld.endswith(READY_AND_COMMITTED):
            raise Cut
        return b""


@dataclass(slots=True)
class Uncommitted:
    """One connection that may be held."""

    order: HoldCommit
    _frames: Frames = field(init=False)
    _running: bool = False
    _held: bool = False

    def __post_init__(self) -> None:
        self._frames = Frames(self.order.text)

    def to_server(self, data: bytes) -> bytes:
        passing = b""
        for kind, runs, message in self._frames.feed(data):
            self._running = self._running or runs
            if self._running and kind == b"S" and not self._held:
                self._held = True
                self.order.held += 1
                passing += FLUSH  # so that the server has certainly run it
            if not self._held:
                passing += message
        return passing

    def to_client(self, data: bytes) -> bytes:
        return data
