"""Looks at where the work is: as often as they are worth their cost, and cheaper ones where dead index entries pile up."""

from __future__ import annotations

import time

from mailworkers.daemon.lanes import LaneBook
from mailworkers.errors import DatabaseError
from mailworkers.queue.claim import Claims

# A look costs a share of the time at most, so that a long list of fronts, or dead entries that vacuum may not remove yet,
# slow nothing down; and when it is cheap it is frequent, so that urgent mail is seen soon.
LOOK_SHARE = 0.05
SHORTEST_LOOK_SECONDS = 0.02
# Where a whole look is not worth its cost more often than this, looks beyond the known bounds come between two of them.
SELDOM_SECONDS = 1.0
FAILED_LOOK_SECONDS = 30.0  # after a whole look that was ended by its time-out


class Looking:
    """Keeps the lane book up to date.

    Args:
        claims: the statements.
        book: what is seen goes here.
    """

    def __init__(self, claims: Claims, book: LaneBook) -> None:
        self.fully = False  # whether the last look saw every front that there was
        self._claims = claims
        self._book = book
        self._looked_at = 0.0
        self._cost = 0.0
        self._whole_at = 0.0

    async def look(self) -> None:
        """Learn where the work is: fully where that is due, else beyond the known bounds only. Raises DatabaseError."""
        now = time.monotonic()
        self.fully = now >= self.next_at
        if self.fully:
            whole = now >= self._whole_at
            await self._renew_book(whole=whole)
            self.fully = whole and self._book.whole
            self._looked_at = now
        elif self._book.drained:
            self._book.revive()

    def again(self) -> None:
        """The next look is due at once."""
        self._looked_at = 0.0

    @property
    def next_at(self) -> float:
        """When a full look is worth its cost again, in monotonic seconds."""
        return self._looked_at + max(SHORTEST_LOOK_SECONDS, self._cost / LOOK_SHARE)

    async def _renew_book(self, *, whole: bool) -> None:
        """Look at all that there is, or beyond the known bounds, where that is the cheaper. What lies before them waits for
        a whole look: retries, late commits, and what was taken back.

        A whole look that outlasts its time-out is not tried again soon: it must not keep the daemon from what it can see.
        Where the other look fails too, it was the database, and the next one is whole again.
        """
        began = time.monotonic()
        try:
            if whole:
                heads = await self._claims.heads(self._book.beyond)
            else:
                heads = await self._claims.heads_beyond(self._book.bounds(), self._book.beyond)
        except DatabaseError:
            now = time.monotonic()
            self._whole_at = now + FAILED_LOOK_SECONDS if whole and now - began > SELDOM_SECONDS else 0.0
            raise
        cost = time.monotonic() - began
        if whole and cost / LOOK_SHARE > SELDOM_SECONDS:
            self._whole_at = time.monotonic() + cost / LOOK_SHARE
        else:
            self._cost = cost
        self._book.renew(heads)
