"""Watches what a relay says during the negotiation."""

from __future__ import annotations

import asyncio

from mailworkers.transports.smtp.parser import ReplyParser


class Sentry(asyncio.Protocol):
    """Stands between a transport and aiosmtplib's protocol, passes everything on, and counts the replies.

    aiosmtplib silently drops what it did not ask for. But an octet too many before TLS is the mark of someone who
    injects plaintext (RFC 3207 §6), and one too many later would be paired with the first mail: both must end the
    connection.
    """

    def __init__(self, behind: asyncio.Protocol) -> None:
        self._behind = behind
        self._parser = ReplyParser()
        self.replies = 0

    @property
    def between_replies(self) -> bool:
        """Whether nothing but finished replies has arrived."""
        return self._parser.between_replies

    def data_received(self, data: bytes) -> None:
        self.replies += len(self._parser.feed(data))
        self._behind.data_received(data)

    def eof_received(self) -> bool | None:
        return self._behind.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        self._behind.resume_writing()
