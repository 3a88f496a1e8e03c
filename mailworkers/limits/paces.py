"""All the rates that one daemon has learned, by whatever they are of."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from mailworkers.limits.pace import FLOOR, SHORTEST_SPAN_SECONDS, Pace, Recent

FULL_REST_SECONDS: Final = 60.0  # for one that finds no place there
MOST_PACES: Final = (
    2_000  # a relay that refuses everybody lowers each lane by itself; no table and no page grows beyond that
)

Key = TypeVar("Key", bound=Hashable)


class Paces(Generic[Key]):
    """Learned rates. What has none is not limited, and costs one dictionary look a mail.

    Args:
        clock: local and monotonic, in seconds.
        floor: gives the rate below which none falls.
        spread: gives a number between 0 and 1, so that lanes do not come back together.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        floor: Callable[[Key], float] = lambda _key: FLOOR,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self.known: dict[Key, Pace] = {}
        self._clock = clock
        self._floor = floor
        self._spread = spread
        self._recent: dict[Key, Recent] = {}
        self._rolled_at = clock()

    def accepted(self, key: Key, mails: int = 1) -> None:
        """The relay took mails of this one."""
        recent = self._recent.get(key)
        if recent is None:
            recent = self._recent[key] = Recent(since=self._rolled_at)
        recent.count += mails
        if self.known:
            pace = self.known.get(key)
            if pace is not None:
                pace.accepted(self._clock(), mails)

    def total(self) -> Recent:
        """What was accepted lately of all together."""
        counted = self._recent.values()
        return Recent(sum(one.count for one in counted), sum(one.before for one in counted), self._rolled_at)

    def adopt(self, key: Key, rate: float, reason: str) -> None:
        """Begin with what another daemon found out, or this one before it was started again."""
        if key not in self.known and len(self.known) < MOST_PACES:
            self.known[key] = Pace.at(self._clock(), rate, self._floor(key), reason)

    def answered(self, key: Key) -> None:
        """The relay answered for a reason of its own, which is not the rate."""
        if self.known:
            pace = self.known.get(key)
            if pace is not None:
                pace.answered()

    def refused(
        self, key: Key, begun: float, reason: str, named: float | None = None, recent: Recent | None = None
    ) -> float:
        """The relay asked for less; the seconds for which this one rests now, 0 where that is known already.

        Args:
            key: who is refused.
            begun: when the refused mail was begun, by the clock.
            reason: what the relay said.
            named: seconds that it asked for.
            recent: what was accepted lately, where that is counted elsewhere.
        """
        now = self._clock()
        recent = recent or self._recent.get(key)
        rate = recent.rate(now) if recent is not None else 0.0
        pace = self.known.get(key)
        if pace is None:
            if len(self.known) >= MOST_PACES:
                return named or FULL_REST_SECONDS
            before = recent.count + recent.before if recent is not None else 0
            pace = self.known[key] = Pace(now, before, now - SHORTEST_SPAN_SECONDS, self._floor(key))
        changed = pace.refused(now, begun, rate, named, self._spread())
        if not changed:
            return 0.0
        pace.reason = reason
        return max(0.0, pace.rests_until - now)

    def room(self, key: Key) -> float:
        """Mails that may be begun now; infinity where nothing was learned."""
        pace = self.known.get(key)
        return math.inf if pace is None else pace.room(self._clock())

    def take(self, key: Key, mails: int) -> None:
        """So many are begun."""
        pace = self.known.get(key)
        if pace is not None:
            pace.take(self._clock(), mails)

    def wait(self, key: Key) -> float:
        """Seconds until a mail may be begun; 0 where one may now."""
        pace = self.known.get(key)
        return 0.0 if pace is None else pace.wait(self._clock())

    def tick(self) -> list[Key]:
        """To be called about once a second; those whose learned rate is of no more use are forgotten, and returned."""
        now = self._clock()
        self._rolled_at = now
        for key in [key for key, recent in self._recent.items() if not recent.roll(now)]:
            del self._recent[key]
        over = []
        for key, pace in list(self.known.items()):
            pace.tick(now)
            if pace.over(now):
                over.append(key)
                del self.known[key]
        return over

    def forget(self, key: Key) -> None:
        """Send as if nothing had been learned."""
        self.known.pop(key, None)
