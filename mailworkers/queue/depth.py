"""How much work there is, as one small value: filled by a bounded query, shown by `status`, `/health` and `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Live jobs by state.

    `oldest_due_seconds` is how long the oldest job has been due and not claimed, None where nothing is due. `exact` is
    False where counting stopped at its bound, so that a figure means "at least".
    """

    waiting: int
    retrying: int
    sending: int
    paused: int
    oldest_due_seconds: float | None
    exact: bool
