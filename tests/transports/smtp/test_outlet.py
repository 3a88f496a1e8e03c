"""What leaves, and what may have left."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from mailworkers.transports.ending import Ending
from mailworkers.transports.smtp.outlet import SLICE, Outlet
from mailworkers.transports.smtp.transaction import Transaction


class FullAfter:
    """A transport that says stop after so many writes."""

    def __init__(self, writes: int) -> None:
        self.left = writes
        self.written: list[bytes] = []
        self.outlet: Outlet | None = None
        self.breaks_at = 0

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert (high, low) == (SLICE, 0)

    def write(self, data: bytes | memoryview) -> None:
        self.written.append(bytes(data))
        self.left -= 1
        if self.left == 0 and self.outlet is not None:
            self.outlet.paused = True

    def is_closing(self) -> bool:
        return 0 < self.breaks_at <= len(self.written)


def an_outlet(writes: int = 100) -> tuple[Outlet, FullAfter]:
    transport = FullAfter(writes)
    transport.outlet = Outlet(cast("asyncio.Transport", transport))
    return transport.outlet, transport


@pytest.fixture
def transaction() -> Transaction:
    loop = asyncio.new_event_loop()
    loop.close()
    return Transaction(None, Ending(loop), 0.0)


def test_small_pieces_leave_in_one_write(transaction: Transaction) -> None:
    outlet, transport = an_outlet()
    outlet.add(b"content\r\n", 0)
    outlet.add(b".\r\n", 1, transaction)
    outlet.add(b"MAIL\r\n", 1)

    assert (outlet.owed, transaction.handed) == (0, False)
    outlet.flush()

    assert transport.written == [b"content\r\n.\r\nMAIL\r\n"]
    assert outlet.owed == 2
    assert transaction.handed


def test_small_pieces_never_add_up_to_more_than_a_slice() -> None:
    outlet, transport = an_outlet()
    for _ in range(5):
        outlet.add(b"x" * (SLICE // 2), 1)
    outlet.flush()

    assert [len(data) for data in transport.written] == [SLICE, SLICE, SLICE // 2]
    assert outlet.owed == 5


@pytest.mark.parametrize("breaks_at", [1, 2, 3])
def test_what_is_given_to_a_connection_that_broke_has_not_left(breaks_at: int, transaction: Transaction) -> None:
    outlet, transport = an_outlet()
    transport.breaks_at = breaks_at
    outlet.add(b"x" * (2 * SLICE + 1), 1, transaction)

    assert not transaction.handed
    assert outlet.owed == 0


def test_nothing_to_write_is_not_written() -> None:
    outlet, transport = an_outlet()
    outlet.flush()
    assert transport.written == []


def test_large_content_leaves_in_slices_and_in_order(transaction: Transaction) -> None:
    outlet, transport = an_outlet()
    content = bytes(range(256)) * (SLICE // 100)
    outlet.add(b"before", 0)
    outlet.add(content, 0)
    outlet.add(b".\r\n", 1, transaction)
    outlet.flush()

    assert b"".join(transport.written) == b"before" + content + b".\r\n"
    assert max(map(len, transport.written)) <= SLICE


def test_what_waits_for_the_relay_has_not_left(transaction: Transaction) -> None:
    outlet, transport = an_outlet(writes=2)
    outlet.add(b"x" * SLICE * 4, 0)
    outlet.add(b".\r\n", 1, transaction)
    outlet.flush()

    assert outlet.stuck
    assert len(transport.written) == 2
    assert (outlet.owed, transaction.handed) == (0, False)

    outlet.resume()

    assert not outlet.stuck
    assert (outlet.owed, transaction.handed) == (1, True)
    assert transport.written[-1] == b".\r\n"


def test_resuming_stops_again_when_the_transport_is_full(transaction: Transaction) -> None:
    outlet, transport = an_outlet(writes=1)
    outlet.add(b"x" * SLICE * 3, 1, transaction)
    transport.left = 1

    outlet.resume()

    assert outlet.stuck
    assert outlet.paused
    assert not transaction.handed


def test_what_was_discarded_never_leaves(transaction: Transaction) -> None:
    outlet, transport = an_outlet(writes=1)
    outlet.add(b"x" * SLICE * 3, 1, transaction)
    outlet.discard()
    outlet.resume()
    outlet.flush()

    assert len(transport.written) == 1
    assert not transaction.handed
