"""The mails that one connection has, and when its worker is to begin further ones."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from mailworkers.frozen import frozen
from mailworkers.queue.states import Job
from mailworkers.transports.base import Session
from mailworkers.transports.ending import Ending

# What a relay takes in so short a time may stand in line behind the window, and so long may an end wait to be settled with
# others. A mail that goes first is not held up: it is the first that is begun when the line is gone.
TOGETHER_SECONDS: Final = 0.02
CLOCK_SECONDS: Final = 1e-6  # what no wait is shorter than


@frozen
class OnTheWay:
    """A mail that the session has. `began` is monotonic, `daemon_id` of the lease under which it was begun."""

    job: Job
    message_id: str
    began: float
    daemon_id: int
    ending: Ending


class Window:
    """Settles and begins mails together where the relay is fast, one by one where it is slow.

    To be woken, and to find its code and data in the caches again, costs a worker more than much of what it does for a mail.
    So as many mails as the relay takes in `TOGETHER_SECONDS` are submitted beyond those that keep the connection busy, if
    the session has room for them in its line, and the next ones are begun when these have left.
    """

    def __init__(self) -> None:
        self._mails: deque[OnTheWay] = deque()
        self._together = 1

    def __len__(self) -> int:
        return len(self._mails)

    def jobs(self) -> Iterator[Job]:
        """Those that are not settled."""
        return (mail.job for mail in self._mails)

    def has_room(self, session: Session) -> bool:
        """Whether one more mail is to be submitted now: not before it is known what an end means for it."""
        mails = self._mails
        if mails and mails[0].ending.done():
            return False
        return len(mails) < session.window + self._together - 1 and session.ready()

    def add(self, mail: OnTheWay) -> None:
        """The session has this mail."""
        self._mails.append(mail)

    async def wait(self, session: Session) -> None:
        """Until the oldest mail has ended, and with it those that stand in line, if that takes no longer than
        `TOGETHER_SECONDS`."""
        count = len(self._mails)
        if count < session.window + self._together - 1:
            await self._mails[0].ending
            return
        began = time.monotonic()
        await self._line_gone(max(0, count - session.window))
        ended = next((n for n, mail in enumerate(self._mails) if not mail.ending.done()), count)
        took = max(time.monotonic() - began, CLOCK_SECONDS)
        self._together = max(1, min(1 + session.line, int(TOGETHER_SECONDS * ended / took)))

    def ended(self) -> Iterator[OnTheWay]:
        """Hand out those that have ended, in the order of submission. They count as settled."""
        while self._mails and self._mails[0].ending.done():
            yield self._mails.popleft()

    def clear(self) -> None:
        """Forget those that have not ended: their connection is gone."""
        self._mails.clear()

    async def _line_gone(self, last: int) -> None:
        if last:
            try:
                async with asyncio.timeout(TOGETHER_SECONDS):
                    await self._mails[last].ending
            except TimeoutError:
                pass
        await self._mails[0].ending
