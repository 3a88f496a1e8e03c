"""A monotonic clock that stands still until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """As `time.monotonic`, when called."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
