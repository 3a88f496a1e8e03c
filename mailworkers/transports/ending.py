"""What becomes of one submitted mail, as soon as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

from mailworkers.replies import Outcome


class Ending:
    """An outcome to come: `await` it, or look with `done`. One waits for it at a time.

    Unlike a future's, its outcome outlives whoever waited: to cancel the wait changes nothing about the mail, and what
    became of that is still to be recorded. Where nobody needs to wait, it costs no more than an attribute.

    Args:
        loop: the session's.
    """

    __slots__ = ("_loop", "_outcome", "_waiter", "then")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.then: Callable[[Outcome], None] | None = None  # called in the moment of the end
        self._loop = loop
        self._outcome: Outcome | None = None
        self._waiter: asyncio.Future[None] | None = None

    def done(self) -> bool:
        """Whether it is known."""
        return self._outcome is not None

    def result(self) -> Outcome:
        """What became of the mail, once it is known."""
        assert self._outcome is not None, "the mail has not ended yet"
        return self._outcome

    def settle(self, outcome: Outcome) -> None:
        """The session's word, given once."""
        self._outcome = outcome
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self.then is not None:
            self.then(outcome)

    def __await__(self) -> Generator[object, None, Outcome]:
        while self._outcome is None:
            assert self._waiter is None or self._waiter.done(), "one waits for a mail's end at a time"
            self._waiter = self._loop.create_future()
            yield from self._waiter
        return self._outcome
