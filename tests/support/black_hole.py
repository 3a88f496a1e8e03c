"""A port of loopback that drops connection requests: whoever connects hears nothing, neither yes nor no."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

SYN_SENT = "02"  # proc(5), /proc/net/tcp; include/net/tcp_states.h
FILLERS = 4  # more than fit into a line of length 0, which holds one
ARRIVAL_SECONDS = 0.1


class BlackHole:
    """Listens on `port`, and takes nobody: its line is full, so that Linux drops each further SYN (listen(2))."""

    def __init__(self) -> None:
        self._listening = socket.socket()
        self._fillers: list[socket.socket] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(0)
        self.port = self._listening.getsockname()[1]
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
        await asyncio.sleep(ARRIVAL_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (*self._fillers, self._listening):
            sock.close()

    def knocking(self) -> set[int]:
        """The ports from which others are trying to connect at this moment."""
        own = {filler.getsockname()[1] for filler in self._fillers}
        found = set()
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            if state == SYN_SENT and int(remote.rpartition(":")[2], 16) == self.port:
                found.add(int(local.rpartition(":")[2], 16))
        return found - own
