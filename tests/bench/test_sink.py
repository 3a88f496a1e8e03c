"""The discarding sink: what it counts, in whatever pieces it comes."""

from __future__ import annotations

import asyncio
from typing import cast

import aiosmtplib
import pytest

from mailworkers.bench.child import START_SECONDS, child
from mailworkers.bench.mails import Mails
from mailworkers.bench.sink import EHLO, GO_AHEAD, HOST, OK, RECIPIENT_OK, SENDER_OK, UNKNOWN, Conversation, Count
from mailworkers.replies import Accepted
from mailworkers.transports.base import Session
from mailworkers.transports.smtp.connect import Relay, SmtpTransport
from mailworkers.transports.smtp.wire import Mode

MAILS = 20
DEADLINE_SECONDS = 20.0

ENVELOPE = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n"
BY_DATA = ENVELOPE + b"DATA\r\n" + b"Subject: x\r\n\r\n..\r\nMAIL\r\n" * 3 + b".\r\n"
EMPTY = ENVELOPE + b"DATA\r\n.\r\n"
BY_CHUNKS = ENVELOPE + b"BDAT 5\r\n.\r\nDABDAT 6 LAST\r\nTA\r\n.\nBDAT 0 LAST\r\n"


class Written:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        self.data += b"(closed)"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    ("sent", "mails", "replies"),
    [
        (BY_DATA * 2, 2, (SENDER_OK + RECIPIENT_OK + GO_AHEAD + OK) * 2),
        (EMPTY * 2, 2, (SENDER_OK + RECIPIENT_OK + GO_AHEAD + OK) * 2),
        (BY_CHUNKS, 2, SENDER_OK + RECIPIENT_OK + OK + OK + OK),
        (b"EHLO me.example\r\nVRFY you\r\nnoop\r\nRSET\r\n", 0, EHLO + UNKNOWN + OK + OK),
    ],
    ids=["data", "empty data", "chunks", "commands"],
)
def test_mails_are_counted_however_they_are_cut(sent: bytes, mails: int, replies: bytes, step: int) -> None:
    count, written = Count(), Written()
    conversation = Conversation(count)
    conversation.connection_made(cast("asyncio.Transport", written))
    written.data = b""

    for at in range(0, len(sent), step):
        conversation.data_received(sent[at : at + step])

    assert (count.mails, written.data) == (mails, replies)


def test_quit_ends_the_conversation() -> None:
    written = Written()
    conversation = Conversation(Count())
    conversation.connection_made(cast("asyncio.Transport", written))

    conversation.data_received(b"QUIT\r\n")

    assert written.data.endswith(b"221 2.0.0 Bye\r\n(closed)")


@pytest.mark.parametrize("mode", list(Mode))
async def test_it_takes_mails_in_every_mode_and_counts_them(mode: Mode) -> None:
    mails = Mails(3_000)
    async with child("sink", "sink") as sink:
        port = (await sink.hear(START_SECONDS))["port"]
        session = cast("Session", await SmtpTransport(Relay(HOST, port, "none"), mode=mode).connect())
        for number in range(MAILS):
            deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
            assert isinstance(await session.submit(mails.wire(number), deadline), Accepted)
        await session.close(DEADLINE_SECONDS)

        said = await sink.ask("count")

    assert said["mails"] == MAILS
    assert said["cpu_seconds"] > 0


async def test_it_takes_mails_of_any_client() -> None:
    async with child("sink", "sink") as sink:
        port = (await sink.hear(START_SECONDS))["port"]
        async with aiosmtplib.SMTP(hostname=HOST, port=port, timeout=DEADLINE_SECONDS) as client:
            await client.send_message(Mails(3_000).built(1))

        assert (await sink.ask("count"))["mails"] == 1
