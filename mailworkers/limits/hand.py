"""The tokens of one bucket that this process has in hand: leased, not yet spent, and good for a short time only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailworkers.limits.bucket import Limit

LONGEST_PAUSE: Final = 10.0  # seconds: others may hand tokens back, or a limit may have been raised elsewhere
SHORTEST_PAUSE: Final = 0.05  # seconds: a fast bucket gathers several tokens, which one lease then brings


@dataclass(slots=True)
class Lot:
    """What one lease brought. `expires` is by the local clock, counted from before the lease was sent."""

    tokens: int
    expires: float
    leased_at: datetime
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Unspent:
    """Tokens to be handed back, and when the first of them may have been leased, by the ledger's clock."""

    tokens: int
    leased_at: datetime


class Hand:
    """One bucket's tokens in this process. All times named `now` are by the local monotonic clock, in seconds."""

    __slots__ = ("_past", "_unspent", "limit", "lots", "ready_at")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.ready_at = 0.0  # when the ledger is worth asking again, after it gave less than was wanted
        self.lots: deque[Lot] = deque()  # the oldest first; used up or expired ones may still stand there
        self._past: deque[Lot] = deque()  # used up or expired: a spent token of theirs may still be given back
        self._unspent: Unspent | None = None

    def count(self, now: float) -> int:
        """Tokens that may be spent now."""
        lots = self.lots
        while lots and (lots[0].expires <= now or not lots[0].tokens):
            self._retire(lots.popleft(), now)
        return sum([lot.tokens for lot in lots])

    def lasting(self, until: float) -> int:
        """Tokens that can still be spent then, if none are before."""
        return sum([lot.tokens for lot in self.lots if lot.expires > until])

    def holds(self, n: int, now: float) -> bool:
        """Whether `n` tokens may be spent now. Asked for every mail: the first lot nearly always has them."""
        lots = self.lots
        while lots and (lots[0].expires <= now or not lots[0].tokens):
            self._retire(lots.popleft(), now)
        return bool(lots) and (lots[0].tokens >= n or self.count(now) >= n)

    def lot(self, now: float) -> Lot | None:
        """Where the next token is taken from; None where none is in hand."""
        lots = self.lots
        while lots:
            lot = lots[0]
            if lot.tokens and lot.expires > now:
                return lot
            self._retire(lots.popleft(), now)
        return None

    def spend(self, n: int) -> None:
        """Take `n` tokens, the oldest first. `holds` has just said that they are there."""
        for lot in self.lots:
            taken = min(n, lot.tokens)
            lot.tokens -= taken
            lot.spent += taken
            n -= taken
            if not n:
                return

    def unspend(self, n: int, now: float) -> None:
        """`n` tokens were spent a moment ago, but not used after all: they go back with the next lease.

        It cannot be told which lot they came from, so they count as of the oldest that may be meant. What was never spent, or
        comes back later than `hold` after it expired, is not given back.
        """
        self.count(now)
        self._forget(now)
        for lot in (*self._past, *self.lots):
            back = min(n, lot.spent)
            if back:
                lot.spent -= back
                n -= back
                self._lay_aside(back, lot.leased_at)

    def receive(self, granted: int, sent_at: float, leased_at: datetime) -> None:
        """Tokens of a lease whose statement was sent at `sent_at`, and which the ledger granted at `leased_at`."""
        if granted:
            self.lots.append(Lot(granted, sent_at + self.limit.hold, leased_at))

    def pause(self, left: float, now: float) -> None:
        """The ledger gave less than was wanted and has `left` tokens: note when to ask again.

        That is when there is a whole token, or, for a bucket so fast that this would be at once, half a burst.
        """
        rate, half = self.limit.rate, self.limit.capacity / 2
        pause = max((1 - left) / rate, min((half - left) / rate, SHORTEST_PAUSE))
        self.ready_at = now + min(pause, LONGEST_PAUSE)

    def handing_back(self, now: float, everything: bool = False) -> Unspent | None:
        """What is to be handed back with the lease that follows; it is out of hand from here on, whatever becomes of the lease.

        Args:
            now: the moment.
            everything: also what could still be spent.
        """
        self.count(float("inf") if everything else now)
        unspent, self._unspent = self._unspent, None
        return unspent

    def idle(self, now: float) -> bool:
        """Whether nothing would be forgotten with this hand."""
        in_hand = self.count(now)
        self._forget(now)
        return not (in_hand or self._past or self._unspent or self.ready_at > now)

    def _retire(self, lot: Lot, now: float) -> None:
        self._forget(now)
        if lot.spent:
            self._past.append(lot)
        if lot.tokens:
            self._lay_aside(lot.tokens, lot.leased_at)

    def _forget(self, now: float) -> None:
        while self._past and self._past[0].expires + self.limit.hold <= now:
            self._past.popleft()

    def _lay_aside(self, n: int, leased_at: datetime) -> None:
        self.ready_at = 0.0  # with these the ledger has something to give again
        before = self._unspent
        self._unspent = (
            Unspent(n, leased_at) if before is None else Unspent(before.tokens + n, min(before.leased_at, leased_at))
        )
