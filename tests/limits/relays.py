"""Relays and daemons in memory, with a clock that a test moves: how a learned rate behaves over minutes, in milliseconds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mailworkers.limits.paces import Paces

STEP = 0.01  # seconds
AT_ONCE = 20  # mails that one daemon begins in a step where nothing limits it: 2,000 a second


class Relay(Protocol):
    """What a relay does with a mail that arrives: None takes it, else the seconds it names, or NaN where it names none."""

    def take(self, now: float) -> float | None: ...


UNNAMED = math.nan


@dataclass
class TokenRelay:
    """`rate` a second, which may change, and a burst."""

    rate: float
    burst: float = 5.0
    tokens: float = 0.0
    filled_at: float = 0.0
    named: float = UNNAMED

    def take(self, now: float) -> float | None:
        self.tokens = min(self.burst, self.tokens + self.rate * (now - self.filled_at))
        self.filled_at = now
        if self.tokens < 1:
            return self.named
        self.tokens -= 1
        return None


@dataclass
class WindowRelay:
    """So many in each second, or minute, of the clock."""

    most: int
    length: float
    tells: bool = False
    window: int = -1
    taken: int = 0

    def take(self, now: float) -> float | None:
        window = int(now / self.length)
        if window != self.window:
            self.window, self.taken = window, 0
        self.taken += 1
        if self.taken <= self.most:
            return None
        return (window + 1) * self.length - now if self.tells else UNNAMED


class ClosedRelay:
    """It refuses everything."""

    def take(self, now: float) -> float | None:
        return UNNAMED


@dataclass
class OnTheWay:
    due: float
    begun: float
    named: float | None


@dataclass
class Sender:
    """One daemon with more work than the relay takes, or `demand` mails a second."""

    relay: Relay
    latency: float = 0.02
    window: int = 80  # mails on their way at once
    closing: bool = False  # a refusal closes the connection: the `window` share behind it ends with it
    demand: float = math.inf
    spread: Callable[[], float] = lambda: 0.5
    now: float = 0.0
    owed: float = 0.0
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    way: deque[OnTheWay] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.paces: Paces[str] = Paces(lambda: self.now, spread=self.spread)

    def step(self, now: float) -> None:
        self.now = now
        while self.way and self.way[0].due <= now:
            self._answer(self.way.popleft())
        self.owed = min(self.owed + self.demand * STEP, 100.0) if self.demand < math.inf else math.inf
        free = self.window - len(self.way)
        most = int(min(AT_ONCE, free, self.paces.room("lane"), self.owed))
        if most > 0:
            self.paces.take("lane", most)
            self.owed -= most
        for _ in range(most):
            self.way.append(OnTheWay(now + self.latency, now, self.relay.take(now)))
        if int(now / STEP) % int(1 / STEP) == 0:
            self.paces.tick()

    def _answer(self, mail: OnTheWay) -> None:
        if mail.named is None:
            self.accepted.append(self.now)
            self.paces.accepted("lane")
            return
        self.refused.append(self.now)
        self.paces.refused("lane", mail.begun, "421", None if math.isnan(mail.named) else mail.named)
        if self.closing:
            for _ in range(min(8, len(self.way))):
                self.way.popleft()

    def taken(self, since: float, until: float) -> int:
        return sum(since <= moment < until for moment in self.accepted)


def play(senders: list[Sender], seconds: float, events: dict[float, Callable[[], None]] | None = None) -> None:
    """Let time pass, from where the senders are; `events` by their moment."""
    waiting = sorted((events or {}).items())
    first = round(senders[0].now / STEP)
    for step in range(first + 1, first + round(seconds / STEP) + 1):
        now = step * STEP
        while waiting and waiting[0][0] <= now:
            waiting.pop(0)[1]()
        for sender in senders:
            sender.step(now)
