"""A process that was frozen beyond its lease and goes on: others may be sending its mails by now.

When it wakes, what relays said meanwhile lies in its sockets, and its event loop would answer that first, with the content of
mails that are not its own any more. So the connections are cut before the loop has read anything:

    SIGCONT             ends every SIGSTOP; its handler runs before any callback of the loop
    a late event loop   ends what no signal tells of, such as a suspended machine or a blocked loop, one round later

What remains: a write that the process was about to make when it froze, and, without a signal, one answer on each connection,
which can let one mail's content go. Its result is refused by the lease, but the mail may arrive twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import structlog

from mailworkers.daemon.heartbeat import Heartbeat

log = structlog.get_logger(__name__)


class FreezeWatch:
    """Cuts the connections of a process that overslept its lease.

    Args:
        heartbeat: knows whether the lease still holds.
        cut_off: lets nothing more leave by any connection; tells how many there were.
    """

    def __init__(self, heartbeat: Heartbeat, cut_off: Callable[[], int]) -> None:
        self._heartbeat = heartbeat
        self._cut_off = cut_off
        self._loop = asyncio.get_running_loop()

    def late(self) -> None:
        """The loop was late. Where the lease is known to be lost, that is no news: what is on its way is taken over by the next."""
        if self._heartbeat.established.is_set():
            self._cut_where_lost()

    def _cut_where_lost(self) -> None:
        """Fit for a signal handler: it changes no state but the system's."""
        if not self._heartbeat.holds and (cut := self._cut_off()):
            self._loop.call_soon_threadsafe(_tell, cut)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear SIGCONT. Only the main thread can; elsewhere a late loop is all that tells."""

        def woken(_number: int, _frame: FrameType | None) -> None:
            self._cut_where_lost()

        try:
            # Not by the loop, which would run a handler among its other callbacks, and some of them before it.
            before = signal.signal(signal.SIGCONT, woken)
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGCONT, before)


def _tell(connections: int) -> None:
    log.warning("frozen beyond the lease: the connections with the relay were cut", connections=connections)
