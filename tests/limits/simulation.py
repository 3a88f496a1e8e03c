"""Daemons, a ledger and a clock, all in memory: any timing can be played, also one that no real machine would show."""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mailworkers.errors import DatabaseUnavailable
from mailworkers.limits.bucket import Bucket, Limit
from mailworkers.limits.keys import BucketKey, Period, Scope
from mailworkers.limits.ledger import Ask, Grant
from mailworkers.limits.limiter import Limiter

KEY = BucketKey(Scope.SYSTEM, "all", Period.MINUTE)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Step:
    """Awaited where a statement is on its way: the simulation decides when it arrives."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class World:
    """One limit, its ledger, and the time of everything."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.now = 0.0
        self.reachable = True
        self.sent: list[float] = []
        self.buckets: dict[BucketKey, Bucket] = {}

    def clock(self) -> float:
        return self.now

    def lease(self, ask: Ask) -> Grant:
        moment = _EPOCH + timedelta(seconds=self.now)
        before = self.buckets.get(ask.key) or Bucket.full(ask.limit, moment)
        after, granted = before.leased(ask.limit, moment, ask.wanted, ask.returned, ask.returned_from)
        self.buckets[ask.key] = after
        return Grant(ask.key, granted, after.tokens, moment)

    def most_in_a_window(self) -> int:
        """The most mails sent within any window of the limit's length, both its ends counted."""
        most, first = 0, 0
        for last, moment in enumerate(self.sent):
            while moment - self.sent[first] > self.limit.period:
                first += 1
            most = max(most, last - first + 1)
        return most


class SlowLedger:
    """As `Ledger`: a statement travels, takes effect, and its answer travels back."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        await Step()
        if not self._world.reachable:
            raise DatabaseUnavailable("the simulated database is away")
        grants = [self._world.lease(ask) for ask in asks]
        await Step()
        return grants


class Daemon:
    """One process with its limiter. What it is doing with the ledger goes on only when it is told to."""

    keys = (KEY,)

    def __init__(self, world: World) -> None:
        self._world = world
        self._begin()

    def _begin(self) -> None:
        self.limiter = Limiter(SlowLedger(self._world), self._world.clock)
        self.limiter.configure({(KEY.scope, KEY.period): self._world.limit})
        self._under_way: Coroutine[Any, Any, None] | None = None

    def ask(self, wanted: int) -> None:
        """Begin a lease, where none is under way."""
        if self._under_way is None:
            self._under_way = self.limiter.replenish({KEY: wanted})
            self.go_on()

    def go_on(self) -> None:
        """The lease that is under way goes one step further: it takes effect, or its answer arrives."""
        if self._under_way is None:
            return
        try:
            self._under_way.send(None)
        except (StopIteration, DatabaseUnavailable):
            self._under_way = None

    def lease(self, wanted: int) -> None:
        """A whole lease, from asking to its answer."""
        self.ask(wanted)
        while self._under_way is not None:
            self.go_on()

    def send(self, most: int) -> None:
        """Send as many mails as there are tokens for."""
        n = int(min(most, self.limiter.available(KEY)))
        if n and self.limiter.take(KEY, n=n):
            self._world.sent += [self._world.now] * n

    def change_its_mind(self, most: int) -> None:
        """Take tokens and give them back, without sending."""
        n = int(min(most, self.limiter.available(KEY)))
        if n and self.limiter.take(KEY, n=n):
            self.limiter.give_back(KEY, taken_at=self._world.now, n=n)

    def kill(self) -> None:
        """SIGKILL, and a new process under the same name."""
        if self._under_way is not None:
            self._under_way.close()
        self._begin()

    def stop(self) -> None:
        """An orderly end, and a new process under the same name."""
        if self._under_way is not None:
            self._under_way.close()
            self._under_way = None
        closing = self.limiter.close()
        for _ in closing.__await__():
            pass
        self._begin()
