"""Relays that stall at a chosen moment: a Proxy in front of the Sink, whose watch sees the conversation pass."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.proxy import Blind, Proxy

MANY_OCTETS = 64 * 1024  # far more than an envelope: whatever passed so many is in the middle of a content


@dataclass(slots=True)
class InContent:
    """Stalls a Proxy in the middle of the first large mail's content. Its method `watch` goes there."""

    proxy: Proxy | None = None
    passed: int = 0  # octets, of all connections
    stalled: bool = False

    def watch(self) -> ContentWatch:
        """The watch of one connection."""
        return ContentWatch(self)


@dataclass(slots=True)
class ContentWatch(Blind):
    """One connection."""

    order: InContent

    def to_server(self, data: bytes) -> bytes:
        self.order.passed += len(data)
        if self.order.passed >= MANY_OCTETS and not self.order.stalled and self.order.proxy is not None:
            self.order.stalled = True
            self.order.proxy.stall()
        return data


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
