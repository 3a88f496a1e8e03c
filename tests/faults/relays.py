"""Relays that stall at a chosen moment: a Proxy in front of the Sink, whose watch sees the conversation pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.proxy import Blind, Pace, Proxy

MANY_OCTETS = 64 * 1024  # far more than an envelope: whatever passed so many is in the middle of a content


@dataclass(slots=True)
class InContent:
    """Stalls a Proxy when so many connections are in the middle of a mail's content at once. Its method `watch` goes there.

    Args:
        connections: how many.
    """

    connections: int
    proxy: Proxy | None = None
    passed: int = 0  # octets, of all connections
    reached: int = 0

    @property
    def stalled(self) -> bool:
        """Whether all of them are there."""
        return self.reached >= self.connections

    def watch(self) -> ContentWatch:
        """The watch of one connection."""
        return ContentWatch(self)


@dataclass(slots=True)
class ContentWatch(Blind):
    """One connection on its way into its first content."""

    order: InContent
    _passed: int = field(default=0)

    def to_server(self, data: bytes) -> bytes:
        before, self._passed = self._passed, self._passed + len(data)
        self.order.passed += len(data)
        if before < MANY_OCTETS <= self._passed:
            self.order.reached += 1
            if self.order.stalled and self.order.proxy is not None:
                self.order.proxy.stall()
        return data


def slowly() -> Pace:
    """So slow that no content of some MB is through before the others have begun theirs."""
    return Pace(delay=0.01, octets=16 * 1024)


@dataclass(slots=True)
class NoAnswer:
    """Stops answering each connection in its first mail, at a relay that takes one command at a time: after RCPT for some
    recipients, after the final dot for all others. Its method `watch` goes to a Proxy.

    Args:
        after_rcpt: those recipients.
    """

    after_rcpt: frozenset[str] = frozenset()
    silent: int = 0  # connections

    def watch(self) -> AnswerWatch:
        """The watch of one connection."""
        return AnswerWatch(self)


@dataclass(slots=True)
class AnswerWatch(Blind):
    """One connection whose answers end."""

    order: NoAnswer
    _silent: bool = False

    def to_server(self, data: bytes) -> bytes:
        recipient = data.partition(b"TO:<")[2].partition(b">")[0].decode() if data.startswith(b"RCPT") else ""
        if not self._silent and (recipient in self.order.after_rcpt or data.endswith(b"\r\n.\r\n")):
            self._silent = True
            self.order.silent += 1
        return data

    def to_client(self, data: bytes) -> bytes:
        return b"" if self._silent else data


@dataclass(slots=True)
class AtCommand:
    """Stalls a Proxy in the moment when a command has passed for the first time. Its method `watch` goes there.

    Args:
        command: such as b"DATA".
    """

    command: bytes
    proxy: Proxy | None = None
    stalled: bool = False
    answered: bool = False  # the relay has answered it

    def watch(self) -> CommandWatch:
        """The watch of one connection."""
        return CommandWatch(self)


@dataclass(slots=True)
class CommandWatch(Blind):
    """One connection."""

    order: AtCommand

    def to_server(self, data: bytes) -> bytes:
        if not self.order.stalled and data.endswith(self.order.command + b"\r\n"):
            self.order.stalled = True
        return data

    def to_client(self, data: bytes) -> bytes:
        # Not before, so that the command itself still reaches the relay.
        if self.order.stalled and not self.order.answered and self.order.proxy is not None:
            self.order.answered = True
            self.order.proxy.stall()
        return data
