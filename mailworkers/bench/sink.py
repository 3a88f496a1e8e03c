"""A discarding SMTP server in a process of its own: it counts mails and costs as little as such a server can.

Run as `python -m mailworkers.bench.sink`. It tells its port, then answers `count` on standard input. It speaks PIPELINING
(RFC 2920) and CHUNKING (RFC 3030), believes every command, and keeps nothing: it is the far end of a measurement.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import asdict, dataclass
from typing import cast

from mailworkers.bench.answering import Parent, announce, run

HOST = "127.0.0.1"
BACKLOG = 1024  # connections that may wait to be accepted while all senders connect at once
MAX_LINE = 64 * 1024  # octets of one command; whoever sends more has lost its way

GREETING = b"220 sink.example ESMTP\r\n"
EHLO = b"".join(
    (
        b"250-sink.example\r\n",
        b"250-PIPELINING\r\n",
        b"250-CHUNKING\r\n",
        b"250-8BITMIME\r\n",
        b"250-SMTPUTF8\r\n",
        b"250-ENHANCEDSTATUSCODES\r\n",
        b"250 SIZE 0\r\n",
    )
)
OK = b"250 2.0.0 Ok\r\n"
SENDER_OK = b"250 2.1.0 Ok\r\n"  # codes that tell replies apart, as most relays give them
RECIPIENT_OK = b"250 2.1.5 Ok\r\n"
GO_AHEAD = b"354 End data with <CR><LF>.<CR><LF>\r\n"
BYE = b"221 2.0.0 Bye\r\n"
UNKNOWN = b"502 5.5.2 no such command\r\n"

END_OF_DATA = b"\r\n.\r\n"
_BDAT = re.compile(rb"BDAT (\d{1,12})( LAST)?", re.IGNORECASE)
_PLAIN = {b"MAIL": SENDER_OK, b"RCPT": RECIPIENT_OK, b"RSET": OK, b"NOOP": OK}


@dataclass(slots=True)
class Count:
    """What arrived. `cpu_seconds` is this process's own use so far."""

    mails: int = 0
    octets: int = 0
    connections: int = 0
    cpu_seconds: float = 0.0


class Conversation(asyncio.Protocol):
    """One client. All that arrives at once is answered in one write; content is thrown away as it comes."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._rest = b""  # an unfinished command, or the last octets of content, where its end may have begun
        self._in_data = False
        self._chunk_left = 0
        self._last_chunk = False
        self._replies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._count.connections += 1
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._count.octets += len(data)
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            if self._chunk_left:
                at = self._skip_chunk(data, at)
            elif self._in_data:
                at = self._skip_content(data, at)
            else:
                at = self._take_line(data, at)
        if self._replies:
            self._transport.write(b"".join(self._replies))
            if self._replies[-1] is BYE:
                self._transport.close()
            self._replies.clear()

    def _skip_chunk(self, data: bytes, at: int) -> int:
        skipped = min(self._chunk_left, len(data) - at)
        self._chunk_left -= skipped
        if not self._chunk_left:
            self._chunk_ended()
        return at + skipped

    def _chunk_ended(self) -> None:
        self._count.mails += self._last_chunk
        self._replies.append(OK)

    def _skip_content(self, data: bytes, at: int) -> int:
        end = data.find(END_OF_DATA, at)
        if end < 0:
            self._rest = data[max(at, len(data) - len(END_OF_DATA) + 1) :]
            return len(data)
        self._in_data = False
        self._count.mails += 1
        self._replies.append(OK)
        return end + len(END_OF_DATA)

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._rest = data[at:]
            if len(self._rest) > MAX_LINE:
                self._transport.abort()
            return len(data)
        verb = data[at : at + 4].upper()
        plain = _PLAIN.get(verb)
        if plain is not None:
            self._replies.append(plain)
        elif verb == b"DATA":
            self._replies.append(GO_AHEAD)
            self._in_data = True
            return end - 1  # the line's own CRLF may begin the end of data, where nothing precedes it
        else:
            self._take_rare(verb, data[at:end].rstrip())
        return end + 1

    def _take_rare(self, verb: bytes, line: bytes) -> None:
        chunk = _BDAT.fullmatch(line)
        if chunk is not None:
            self._chunk_left, self._last_chunk = int(chunk[1]), chunk[2] is not None
            if not self._chunk_left:
                self._chunk_ended()
        else:
            self._replies.append({b"EHLO": EHLO, b"HELO": OK, b"QUIT": BYE}.get(verb, UNKNOWN))


async def main() -> None:
    """Serve until standard input ends."""
    count = Count()
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(count), HOST, 0, backlog=BACKLOG)
    announce({"port": server.sockets[0].getsockname()[1]})

    async def counted() -> dict[str, object]:
        count.cpu_seconds = time.process_time()
        return asdict(count)

    await (await Parent.meet()).answer({"count": counted})
    server.close()


if __name__ == "__main__":
    run(main())
