"""How many workers to run: by what waits, by the rate that is wanted, by what the relay tolerates."""

from __future__ import annotations

import math
from dataclasses import dataclass

UP_ABOVE_WAITING = 1_000  # jobs due and not claimed: more than the present workers will soon have done
DOWN_BELOW_WAITING = 100
INTERVAL_SECONDS = 1.0
DOWN_AFTER_ROUNDS = 10  # shrinking waits, so that a queue which empties in waves keeps its connections


@dataclass(frozen=True, slots=True)
class Load:
    """What one round of scaling sees. `rate_per_hour` is what is being sent now; `target_per_hour` 0 sets no target."""

    workers: int
    waiting: int
    rate_per_hour: float
    target_per_hour: int
    tolerated: int | None
    min_workers: int
    max_workers: int


def wanted_workers(load: Load) -> int:
    """The next number of workers.

    Up by half when more than `UP_ABOVE_WAITING` jobs wait, or when `DOWN_BELOW_WAITING` do and the target is not
    reached; never for a rate above the target; down by one when fewer than `DOWN_BELOW_WAITING` wait. Within min
    and max, and within what the relay tolerates.
    """
    reached = load.target_per_hour > 0 and load.rate_per_hour >= load.target_per_hour
    behind = load.waiting > UP_ABOVE_WAITING or (load.target_per_hour > 0 and load.waiting >= DOWN_BELOW_WAITING)
    wanted = load.workers
    if behind and not reached:
        wanted += max(1, math.ceil(load.workers / 2))
    elif load.waiting < DOWN_BELOW_WAITING:
        wanted -= 1
    most = load.max_workers if load.tolerated is None else min(load.max_workers, load.tolerated)
    return max(load.min_workers if load.tolerated is None else 1, min(wanted, most), 1)


class Scaling:
    """Remembers how often shrinking was wanted, since it happens only after several rounds of calm."""

    def __init__(self) -> None:
        self._calm = 0

    def next(self, load: Load) -> int:
        """As `wanted_workers`, but slow to shrink below what the relay tolerates."""
        wanted = wanted_workers(load)
        bound = load.max_workers if load.tolerated is None else min(load.max_workers, load.tolerated)
        if wanted >= load.workers or load.workers > bound:
            self._calm = 0
            return wanted
        self._calm += 1
        if self._calm < DOWN_AFTER_ROUNDS:
            return load.workers
        self._calm = 0
        return wanted
