"""A transport that accepts every mail at once: what is left is the cost of the queue."""

from __future__ import annotations

import asyncio

from mailworkers.mail.message import WireMail
from mailworkers.replies import Accepted, Reply, Stage
from mailworkers.transports.base import MOST_AT_ONCE
from mailworkers.transports.ending import Ending

WINDOW = 3  # as a pipelining relay has it
_ACCEPTED = Accepted(Reply(Stage.FINAL, 250, "2.0.0", "Ok"))


class NullSession:
    """See `transports.base.Session`; nothing of it can fail."""

    def __init__(self) -> None:
        self.window = WINDOW
        self.line = MOST_AT_ONCE - WINDOW
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._unanswered = 0
        self._idle_since = self._loop.time()

    @property
    def usable(self) -> bool:
        return not self._closed

    @property
    def idle_since(self) -> float | None:
        return None if self._unanswered else self._idle_since

    def ready(self) -> bool:
        return not self._closed and self._unanswered < self.window + self.line

    def submit(self, mail: WireMail, deadline: float) -> Ending:
        """Accept `mail` in the loop's next round, so that whoever submits still waits for its outcome."""
        ending = Ending(self._loop)
        self._unanswered += 1
        self._loop.call_soon(self._accept, ending)
        return ending

    async def close(self, timeout: float) -> None:
        self._closed = True

    def recall(self, why: str) -> None:
        """Nothing stands in line here: everything is accepted in the loop's next round."""

    def abort(self) -> None:
        self._closed = True

    def _accept(self, ending: Ending) -> None:
        self._unanswered -= 1
        self._idle_since = self._loop.time()
        ending.settle(_ACCEPTED)


class NullTransport:
    """See `transports.base.Transport`."""

    async def connect(self) -> NullSession:
        return NullSession()

    def cut_off(self) -> int:
        return 0
