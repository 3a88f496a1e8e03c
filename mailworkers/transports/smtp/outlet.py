"""What leaves a connection: joined where it is small, sliced where it is large, held back while the relay does not
read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from mailworkers.transports.smtp.transaction import Transaction

SLICE = 64 * 1024  # octets written at once; also what the transport may buffer before it says stop


class _Piece(NamedTuple):
    data: bytes | memoryview
    owes: int
    ends: Sequence[Transaction]


class Outlet:
    """Writes to a transport, and counts the replies that the relay owes for what was written.

    The transport never buffers much more than `SLICE`: whatever else is to leave waits here, as views of the mails'
    own bytes. So the memory is bounded, and what waits here has certainly not left.
    """

    __slots__ = ("_batch", "_ends", "_held", "_owes", "_size", "_transport", "owed", "paused")

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        transport.set_write_buffer_limits(high=SLICE, low=0)
        self._transport = transport
        self._batch: list[bytes] = []
        self._size = 0
        self._owes = 0
        self._ends: list[Transaction] = []
        self._held: deque[_Piece] = deque()
        self.paused = False
        self.owed = 0

    @property
    def pending(self) -> bool:
        """Whether something was added since the last flush."""
        return bool(self._batch)

    @property
    def stuck(self) -> bool:
        """Whether something waits here for the relay to read on."""
        return bool(self._held)

    def add(self, data: bytes, owes: int, ends: Transaction | None = None) -> None:
        """Put `data` into the next write.

        Args:
            data: commands, or content with its end.
            owes: how many replies the relay owes for it.
            ends: the transaction whose content ends with it.
        """
        if len(data) > SLICE:
            self._add_slices(data, owes, ends)
            return
        if self._size + len(data) > SLICE:
            self.flush()
        self._batch.append(data)
        self._size += len(data)
        self._owes += owes
        if ends is not None:
            self._ends.append(ends)

    def flush(self) -> None:
        """Write what was added, at once where the relay reads."""
        batch = self._batch
        if batch:
            data = batch[0] if len(batch) == 1 else b"".join(batch)
            ends, self._ends = self._ends, []
            owes, self._owes = self._owes, 0
            self._size = 0
            batch.clear()
            self._put(_Piece(data, owes, ends))

    def resume(self) -> None:
        """The relay reads again."""
        self.paused = False
        while self._held and not self.paused:
            self._write(self._held.popleft())

    def discard(self) -> None:
        """Forget what has not been written."""
        self._batch.clear()
        self._size = 0
        self._held.clear()

    def _add_slices(self, data: bytes, owes: int, ends: Transaction | None) -> None:
        self.flush()
        view = memoryview(data)
        last = (len(data) - 1) // SLICE * SLICE
        for start in range(0, last, SLICE):
            self._put(_Piece(view[start : start + SLICE], 0, ()))
        self._put(_Piece(view[last:], owes, () if ends is None else (ends,)))

    def _put(self, piece: _Piece) -> None:
        if self.paused or self._held:
            self._held.append(piece)
        else:
            self._write(piece)

    def _write(self, piece: _Piece) -> None:
        self._transport.write(piece.data)
        if (
            self._transport.is_closing()
        ):  # it broke under this write or one before, and drops what it is given: no end has left
            return
        for transaction in piece.ends:
            transaction.handed = True
        self.owed += piece.owes
