"""What passes between a daemon and PostgreSQL, statement by statement, for cutting the line at a chosen moment.

Only as much of the protocol as is needed (PostgreSQL manual, chapter 55): a client prepares a text under a name by Parse,
and runs it by Bind; the server's ReadyForQuery outside a transaction means that it has committed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal

from tests.support.proxy import Cut

Moment = Literal["before the server has it", "after the server committed"]
BEFORE: Moment = "before the server has it"
AFTER: Moment = "after the server committed"
READY_AND_COMMITTED = b"Z\x00\x00\x00\x05I"


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
class Statements:
    """One connection."""

    order: LoseAnswer
    _unread: bytes = b""
    _started: bool = False  # the start-up message has no type octet
    _names: set[bytes] = field(default_factory=set)
    _withheld: bytes | None = None

    def to_server(self, data: bytes) -> bytes:
        self._unread += data
        if not self._started:
            (length,) = struct.unpack("!I", self._unread[:4])
            self._unread = self._unread[length:]
            self._started = True
        while len(self._unread) >= 5:
            kind, (length,) = self._unread[:1], struct.unpack("!I", self._unread[1:5])
            if len(self._unread) < 1 + length:
                break
            body, self._unread = self._unread[5 : 1 + length], self._unread[1 + length :]
            self._see(kind, body)
        return data

    def to_client(self, data: bytes) -> bytes:
        if self._withheld is None:
            return data
        self._withheld += data
        if self._withheld.endswith(READY_AND_COMMITTED):
            raise Cut
        return b""

    def _see(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            if self.order.text in text:
                self._names.add(name)
            else:
                self._names.discard(name)
        elif kind == b"B" and body.split(b"\0", 2)[1] in self._names and self.order.wanted():
            if self.order.moment == BEFORE:
                raise Cut
            self._withheld = b""
