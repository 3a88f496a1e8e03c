"""Counting what a relay says while others negotiate."""

from __future__ import annotations

import asyncio

from mailworkers.transports.smtp.sentry import Sentry


class Recorder(asyncio.Protocol):
    def __init__(self) -> None:
        self.calls: list[object] = []

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> None:
        self.calls.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


def test_everything_is_passed_on() -> None:
    behind = Recorder()
    sentry = Sentry(behind)
    sentry.data_received(b"250 ok\r\n")
    sentry.pause_writing()
    sentry.resume_writing()
    sentry.eof_received()
    sentry.connection_lost(None)
    assert behind.calls == [b"250 ok\r\n", "pause", "resume", "eof", None]


def test_replies_are_counted_and_half_a_reply_is_noticed() -> None:
    sentry = Sentry(Recorder())
    sentry.data_received(b"220 go\r\n250-inj")
    assert sentry.replies == 1
    assert not sentry.between_replies
    sentry.data_received(b"ected\r\n250 two\r\n")
    assert sentry.replies == 2
    assert sentry.between_replies
