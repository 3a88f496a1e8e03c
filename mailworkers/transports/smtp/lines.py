"""The open connections of a transport, to be cut off below everything that has a state of its own."""

from __future__ import annotations

import contextlib
import socket
import weakref


class OpenLines:
    """Sockets of connections that were handed over. One that is closed is forgotten."""

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def add(self, line: socket.socket) -> None:
        """Remember one as long as it is in use."""
        self._sockets.add(line)

    def cut_off(self) -> int:
        """Let nothing more leave; how many were open. See `transports.base.Transport.cut_off`."""
        cut = 0
        for line in list(self._sockets):
            with contextlib.suppress(OSError):  # closed, or ended by the relay
                line.shutdown(socket.SHUT_WR)
                cut += 1
        return cut
