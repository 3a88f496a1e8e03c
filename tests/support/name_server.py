"""A name server that answers, fails, or says nothing, and a command that makes a process ask it and no other."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

_OWN = os.getpid() % 65536
ADDRESS = f"127.53.{_OWN // 256}.{_OWN % 256}"  # of loopback, where nobody else's server is, nor another test process's
PORT = 53  # resolv.conf(5) knows no other
TYPE_A = 1
SERVFAIL = 2  # RFC 1035 §4.1.1
ANSWERED = 0x8180  # a response, recursion desired and available
SAME_NAME = 0xC00C  # a pointer to the question (RFC 1035 §4.1.4)

Mood = Literal["answers", "fails", "silent"]


class NameServer(asyncio.DatagramProtocol):
    """Use it as `async with NameServer() as server:`. It gives every name the address 127.0.0.1, in the mood of the moment."""

    def __init__(self, mood: Mood = "answers") -> None:
        self.mood = mood
        self.asked: Counter[Mood] = Counter()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(ADDRESS, PORT))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked[self.mood] += 1
        if self.mood == "silent":
            return
        number, _, _, _, _, _ = struct.unpack("!6H", data[:12])
        end = data.index(b"\0", 12) + 5
        question, (kind,) = data[12:end], struct.unpack("!H", data[end - 4 : end - 2])
        answers = b""
        if self.mood == "answers" and kind == TYPE_A:
            answers = struct.pack("!HHHIH", SAME_NAME, TYPE_A, 1, 0, 4) + socket.inet_aton("127.0.0.1")
        flags = ANSWERED | (SERVFAIL if self.mood == "fails" else 0)
        header = struct.pack("!6H", number, flags, 1, 1 if answers else 0, 0, 0)
        self._transport.sendto(header + question + answers, addr)


def asks_only_it(folder: Path) -> list[str]:
    """A command that becomes the one which is given to it, in mounts of its own, so that no other process sees another
    resolver. Needs the right to mount.

    Args:
        folder: for the two files that the resolver reads.
    """
    resolv, nsswitch = folder / "resolv.conf", folder / "nsswitch.conf"
    resolv.write_text(f"nameserver {ADDRESS}\noptions timeout:1 attempts:1\n")
    nsswitch.write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    script = 'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(resolv), str(nsswitch)]
