"""What was measured, and what follows from it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailworkers.bench.plan import Plan


@dataclass(frozen=True, slots=True)
class Speed:
    """So many mails in so many seconds; `cpu_seconds` of the sending processes, where they could be asked."""

    mails: int
    seconds: float
    cpu_seconds: float | None = None

    @property
    def per_second(self) -> float:
        return self.mails / self.seconds if self.seconds > 0 else 0.0

    @property
    def cpu_microseconds(self) -> float | None:
        """CPU time a mail."""
        return None if self.cpu_seconds is None or not self.mails else self.cpu_seconds / self.mails * 1e6


@dataclass(frozen=True, slots=True)
class Percentiles:
    """In seconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        """Of at least two values."""
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        return cls(cuts[49], cuts[94], cuts[98])


@dataclass(frozen=True, slots=True)
class Passage:
    """One run through the queue.

    Every mail of it was sent once and is recorded so. `stages` in CPU microseconds a mail; `arrived` is the relay's own
    count, None where it cannot be asked.
    """

    speed: Speed
    copy_seconds: float
    stages: Mapping[str, float]
    statements: int
    peak_bytes: int
    insert_to_sent: Percentiles
    arrived: int | None

    @property
    def statements_per_mail(self) -> float:
        return self.statements / max(1, self.speed.mails)


@dataclass(frozen=True, slots=True)
class Latency:
    """Single inserts into an idle daemon's queue: from the insert's commit to the relay's reply."""

    inserts: int
    insert_to_sent: Percentiles
    idle_cpu_percent: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything. `passages` and `without_smtp` hold each run, `references` each run's speed by name."""

    plan: Plan
    relay: str
    machine: Mapping[str, str]
    server: Mapping[str, str]
    passages: Sequence[Passage] = ()
    without_smtp: Sequence[Passage] = ()
    references: Mapping[str, Sequence[Speed]] = field(default_factory=dict)
    latency: Latency | None = None

    @property
    def passage(self) -> Passage:
        """The run of median speed, so that all its figures belong together."""
        return _middle(self.passages)

    @property
    def queue_alone(self) -> Passage:
        """The same of the runs without SMTP."""
        return _middle(self.without_smtp)

    def reference(self, name: str) -> Speed:
        """The run of median speed."""
        return sorted(self.references[name], key=lambda speed: speed.per_second)[(len(self.references[name]) - 1) // 2]

    @property
    def ratios(self) -> dict[str, float]:
        """The whole path's speed, as a multiple of each reference's."""
        others = {name: self.reference(name).per_second for name in self.references}
        others["queue without SMTP"] = self.queue_alone.speed.per_second
        return {name: self.passage.speed.per_second / speed for name, speed in others.items() if speed > 0}


def _middle(passages: Sequence[Passage]) -> Passage:
    return sorted(passages, key=lambda one: one.speed.per_second)[(len(passages) - 1) // 2]
