"""The arithmetic of a token bucket that several daemons lease from; pure, and the same as in `limits/lease.sql`.

What is promised: a limit of N per period P means that **no** window of length P, wherever it begins, sees more than N
tokens spent. An average that holds only over a long time is not what a mailbox provider counts.

Why it holds. The bucket holds at most C tokens and gains r a second, so it hands out at most C + r·T in any time T. A
token may be spent for H seconds after it was leased, and no longer. What is spent within a window of length P was
therefore leased within P + H, and as tokens are whole:

    spent in any window ≤ ⌊C + r·(P + H)⌋ ≤ N    where    C + r·(P + H) < N + 1

The safety buffer b (RATE_BUFFER_PERCENT) pays for it. The rate that can be sustained is r = N·(1 - b)/P; half of the
buffer is the burst, C = N·b/2; the other half pays for H, which is a twentieth of the period at least. Where b is too
small for that, or N so small that one token is more than the buffer (C is never below one, or nothing could be sent),
r gives way until the inequality holds. Where something is left over, H is longer, but never more than a second.

Handing tokens back. A lease of which k tokens stay unspent is to count as if those k had never been leased. But while they
were away the bucket may have filled up and gained what it could not have gained with them inside. That is at most
r · age, with the age since the first of those leases, so k - r · age tokens can be credited, and the bound above
still holds. For a slow bucket (one mail an hour) hardly anything is lost; a fast one has the loss back at once.

A killed daemon hands nothing back: what it had leased counts as spent. Nothing else is lost, and nothing is gained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LONGEST_HOLD: Final = 1.0  # seconds: a daemon renews its tokens more often than that anyway
SHORTEST_HOLD: Final = 1 / 20  # of the period, but not above LONGEST_HOLD: what half of the default buffer pays for
SMALLEST_BURST: Final = 1 / 100  # of the limit, even without a buffer: a fast bucket is not leased token by token
LARGEST_BURST: Final = 1 / 2  # of the limit: with more, the rest of the window would have to be nearly empty
CLOCK_TOLERANCE: Final = 1 / 1000  # two correct clocks may differ by 500 ppm each way while they are being slewed


@dataclass(frozen=True, slots=True)
class Limit:
    """`tokens` in any window of `period` seconds, approached no nearer than `buffer_percent`. `burst` tokens may leave at
    once after a pause; by default half of the buffer. A larger one is paid for with the rate that is sustained.

    Raises:
        ValueError: a part is out of its range.
    """

    tokens: int
    period: float
    buffer_percent: int = 10
    burst: int | None = None

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ValueError("a limit must allow at least 1 token: leave it out where there is none")
        if not 0 < self.period < math.inf:
            raise ValueError("a limit's period must be above 0 seconds")
        if not 0 <= self.buffer_percent < 100:
            raise ValueError("a limit's buffer must be between 0 and 99 percent")
        if self.burst is not None and not 1 <= self.burst <= max(1, self.tokens * LARGEST_BURST):
            raise ValueError("a limit's burst must be at least 1 token and at most half of the limit")

    @property
    def capacity(self) -> float:
        """The most tokens that can be leased at one instant, at least 1."""
        if self.burst is not None:
            return float(self.burst)
        return max(1.0, self.tokens * max(self.buffer_percent / 200, SMALLEST_BURST))

    @property
    def rate(self) -> float:
        """Tokens gained a second."""
        sustained = self.tokens * (1 - self.buffer_percent / 100) / self.period
        return min(sustained, self._room / (self.period + self._shortest_hold))

    @property
    def hold(self) -> float:
        """Seconds for which a leased token may be spent."""
        return min(LONGEST_HOLD, max(self._shortest_hold, self._room / self.rate - self.period))

    @property
    def _shortest_hold(self) -> float:
        return min(LONGEST_HOLD, self.period * SHORTEST_HOLD)

    @property
    def _room(self) -> float:
        """What may be gained within a window and a hold, beside a burst."""
        return (self.tokens + 1 - self.capacity) * (1 - CLOCK_TOLERANCE)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A row of the ledger: what it held at `updated_at`, and what it was then worth a second."""

    tokens: float
    capacity: float
    rate: float
    updated_at: datetime

    @classmethod
    def full(cls, limit: Limit, now: datetime) -> Bucket:
        """A bucket at its first use: one burst, not more."""
        return cls(limit.capacity, limit.capacity, limit.rate, now)

    def leased(
        self, limit: Limit, now: datetime, wanted: int, returned: int = 0, returned_from: datetime | None = None
    ) -> tuple[Bucket, int]:
        """The bucket after one lease, and the tokens granted.

        A limit that has just been changed takes effect at once, and whatever differs counts the careful way: refill at the
        lower rate, up to the lower capacity.

        Args:
            limit: what is asked for now.
            now: by the ledger's clock. Where that was set back, nothing is gained and nothing lost.
            wanted: tokens asked for; 0 to hand back only.
            returned: unspent tokens handed back.
            returned_from: when the first of them was leased, by the ledger's clock.
        """
        age = _seconds(now - (returned_from or now))
        credit = max(0.0, returned - max(self.rate, limit.rate) * age)
        refill = min(self.rate, limit.rate) * _seconds(now - self.updated_at)
        level = min(self.capacity, limit.capacity, self.tokens + refill + credit)
        granted = min(wanted, math.floor(level))
        return Bucket(level - granted, limit.capacity, limit.rate, now), granted


def _seconds(elapsed: timedelta) -> float:
    return max(0.0, elapsed.total_seconds())
