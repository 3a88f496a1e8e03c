"""Less work where this machine or the database is far slower than usual: to ask for more would make both slower still.

Three times are watched: of claims, of acks, and how late the event loop is. Where one of them was far beyond its usual for
`PATIENCE` seconds, the daemon claims fewer mails each second, until that is over. A single slow second, such as a
checkpoint or a machine that was suspended, changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

FAR: Final = 10.0  # times the usual
LEAST_SECONDS: Final = 0.5  # below it nothing counts as slow, however fast it usually is
PATIENCE: Final = 3  # such seconds in a row, before it is believed
CALM: Final = 0.5  # of what counts as slow: all must be below it …
CALM_TICKS: Final = 3  # … for so many seconds, before the rate rises again
USUAL_SHARE: Final = 0.02  # of each second in what is usual: half a minute counts for half
LESS: Final = 0.7  # of the rate in each second of trouble
MORE: Final = 1.25  # in each second of calm
ENOUGH: Final = 2.0  # times the rate at which it began: nothing is held back any more
LEAST_RATE: Final = 10.0  # mails a second: mail goes on, and shows when the trouble is over
BURST_SECONDS: Final = 0.1


@dataclass(slots=True)
class Measure:
    """One time that is watched, in seconds."""

    what: str
    usual: float = 0.0
    now: float = 0.0
    _sum: float = 0.0
    _count: int = 0
    late: int = 0  # ticks in a row

    def add(self, seconds: float) -> None:
        """It took so long this time."""
        self._sum += seconds
        self._count += 1

    @property
    def bound(self) -> float:
        """What counts as slow."""
        return max(LEAST_SECONDS, FAR * self.usual)

    def tick(self, *, learning: bool) -> None:
        """A second is over; `learning`, it may tell what is usual."""
        self.now = self._sum / self._count if self._count else 0.0
        if learning and self._count and self.now < self.bound:
            self.usual += (self.now - self.usual) * USUAL_SHARE
        self._sum, self._count = 0.0, 0
        self.late = self.late + 1 if self.now >= self.bound else 0


@dataclass(slots=True)
class Slowing:
    """One daemon's own brake. `reason` is a sentence while it is on, and `rate` then the mails a second that it leaves."""

    clock: Callable[[], float] = time.monotonic
    claims: Measure = field(default_factory=lambda: Measure("the database takes {now:.1f} s for a claim"))
    acks: Measure = field(default_factory=lambda: Measure("the database takes {now:.1f} s to write results"))
    loop: Measure = field(default_factory=lambda: Measure("the event loop is {now:.1f} s late"))
    reason: str | None = None
    rate: float | None = None
    _began_at: float = 0.0
    _calm: int = 0
    _tokens: float = 0.0
    _filled_at: float = 0.0

    def tick(self, rate: float) -> None:
        """A second is over, in which `rate` mails a second were sent."""
        measures = (self.claims, self.acks, self.loop)
        for measure in measures:
            measure.tick(learning=self.rate is None)
        slow = [measure for measure in measures if measure.late >= PATIENCE]
        if slow:
            self._slow_down(slow[0], rate)
        elif self.rate is not None:
            self._calm = self._calm + 1 if all(one.now < CALM * one.bound for one in measures) else 0
            if self._calm >= CALM_TICKS:
                self.rate *= MORE
                if self.rate >= ENOUGH * self._began_at:
                    self.rate, self.reason = None, None

    def room(self) -> float:
        """Mails that may be claimed now; infinity while nothing is slow."""
        if self.rate is None:
            return float("inf")
        now = self.clock()
        self._tokens = min(max(1.0, self.rate * BURST_SECONDS), self._tokens + self.rate * (now - self._filled_at))
        self._filled_at = now
        return int(self._tokens + 1e-9)

    def take(self, mails: int) -> None:
        """So many are claimed."""
        if self.rate is not None:
            self._tokens -= mails

    def wait(self) -> float:
        """Seconds until there is room for one; 0 where there is."""
        if self.rate is None or self.room() >= 1:
            return 0.0
        return (1 - self._tokens) / self.rate

    def _slow_down(self, measure: Measure, rate: float) -> None:
        if self.rate is None:
            self._began_at = max(LEAST_RATE, rate)
            self.rate = self._began_at
            self._tokens, self._filled_at = 0.0, self.clock()
        self.rate = max(LEAST_RATE, self.rate * LESS)
        self.reason = f"{measure.what.format(now=measure.now)}, usually {measure.usual:.2g} s"
        self._calm = 0
