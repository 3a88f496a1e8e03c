"""The capturing mail server, spoken to over a real socket, packet by packet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from mailworkers.demo import capture
from mailworkers.demo.capture import CaptureServer
from mailworkers.errors import PortInUse

MAIL = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: x\r\n\r\nHi\r\n.\r\n"


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def replies(self, count: int) -> list[str]:
        """The codes of the next `count` replies."""
        codes: list[str] = []
        while len(codes) < count:
            line = await asyncio.wait_for(self.reader.readline(), 10)
            assert line, "the server closed the connection"
            if line[3:4] == b" ":
                codes.append(line[:3].decode())
        return codes

    async def send(self, data: bytes, replies: int) -> list[str]:
        self.writer.write(data)
        return await self.replies(replies)


@pytest.fixture
async def server() -> AsyncIterator[CaptureServer]:
    made = CaptureServer(keep=2)
    yield made
    await made.stop()


@pytest.fixture
async def client(server: CaptureServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(capture.HOST, await server.start())
    made = Client(reader, writer)
    assert await made.replies(1) == ["220"]
    yield made
    writer.close()
    await asyncio.wait({asyncio.ensure_future(writer.wait_closed())}, timeout=10)


async def test_a_pipelined_mail_and_the_next_in_one_packet(server: CaptureServer, client: Client) -> None:
    codes = await client.send(b"EHLO me\r\n" + MAIL + MAIL + b"QUIT\r\n", replies=10)

    assert codes == ["250", *["250", "250", "354", "250"] * 2, "221"]
    assert server.mails == 2
    assert server.recipients == {"b@b.example": 2}


async def test_a_mail_in_packets_of_one_octet(server: CaptureServer, client: Client) -> None:
    for octet in MAIL:
        client.writer.write(bytes([octet]))
        await client.writer.drain()
        await asyncio.sleep(0)

    assert await client.replies(4) == ["250", "250", "354", "250"]
    assert server.messages[0].content == b"Subject: x\r\n\r\nHi\r\n"


async def test_stuffed_dots_are_taken_off(server: CaptureServer, client: Client) -> None:
    body = b"..first\r\n\r\n..\r\nplain.\r\n.\r\n"
    await client.send(b"MAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n" + body, replies=4)

    assert server.messages[0].content == b".first\r\n\r\n.\r\nplain.\r\n"
    assert server.messages[0].mail_from == ""


async def test_an_empty_message_ends_with_its_first_line(server: CaptureServer, client: Client) -> None:
    codes = await client.send(b"MAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n.\r\nNOOP\r\n", replies=5)

    assert codes == ["250", "250", "354", "250", "250"]
    assert server.messages[0].content == b""


async def test_only_a_few_messages_are_kept_however_many_come(server: CaptureServer, client: Client) -> None:
    await client.send(MAIL * 5, replies=20)

    assert (server.mails, len(server.messages)) == (5, 2)


async def test_a_mail_to_two_counts_for_both(server: CaptureServer, client: Client) -> None:
    await client.send(MAIL.replace(b"DATA", b"RCPT TO:<c@c.example> NOTIFY=NEVER\r\nDATA"), replies=5)

    assert server.recipients == {"b@b.example": 1, "c@c.example": 1}


@pytest.mark.parametrize(
    ("spoken", "codes"),
    [
        (b"DATA\r\n", ["503"]),
        (b"RCPT TO:<b@b.example>\r\n", ["503"]),
        (b"MAIL FROM:<a@a.example>\r\nMAIL FROM:<a@a.example>\r\n", ["250", "503"]),
        (b"MAIL FROM:<a@a.example>\r\nRSET\r\nRCPT TO:<b@b.example>\r\n", ["250", "250", "503"]),
        (b"VRFY you\r\n", ["500"]),
        (b"HELO me\r\nNOOP\r\nQUIT\r\n", ["250", "250", "221"]),
    ],
)
async def test_commands_out_of_turn_are_told_so(client: Client, spoken: bytes, codes: list[str]) -> None:
    assert await client.send(spoken, replies=len(codes)) == codes


async def test_a_line_without_end_is_not_collected_for_ever(client: Client) -> None:
    assert await client.send(b"x" * (capture.MAX_LINE_BYTES + 1), replies=1) == ["421"]
    assert await client.reader.read() == b""


async def test_a_message_without_end_neither(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_MESSAGE_BYTES", 1000)

    codes = await client.send(MAIL.replace(b"Hi", b"x" * 2000)[:-5], replies=4)

    assert codes == ["250", "250", "354", "421"]


async def test_no_more_recipients_than_a_mail_may_have(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_RECIPIENTS", 1)

    codes = await client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@b.example>\r\n" * 2, replies=3)

    assert codes == ["250", "250", "452"]


async def test_a_port_that_is_taken_is_said_in_one_line(server: CaptureServer, client: Client) -> None:
    port = client.writer.get_extra_info("peername")[1]

    with pytest.raises(PortInUse, match=f"cannot listen on 127.0.0.1:{port}"):
        await CaptureServer().start(port)
