"""What this process saw of other daemons and of overdue jobs, by its own monotonic clock.

A wall clock can be set. So a lease does not end because the database's clock passed a moment, but because somebody watched
it for as long as it lasts and saw no renewal; and none of that needs two clocks that agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

# A session lock found free once may be a daemon that is just connecting again; twice, this far apart, it is dead.
SUSPICION_SECONDS: Final = 2.0
# Where this process looked away for a larger share of a lease, it watches anew: what kept it from the database may have kept
# the others from renewing. Renewals come each third of a lease, so that one is in time after such a gap.
LONGEST_GAP_SHARE: Final = 0.5
LEASE_RAN_OUT: Final = "its lease ran out"
SESSION_GONE: Final = "its session was gone"


@dataclass(frozen=True, slots=True)
class Other:
    """A lease as it stands: renewed when, by the database's clock and only to tell two renewals apart; for how many seconds;
    and whether the session lock that goes with it is free."""

    daemon_id: int
    renewed_at: datetime
    lease_seconds: float
    lock_free: bool


@dataclass(frozen=True, slots=True)
class Dead:
    """A lease to end, and why."""

    other: Other
    why: str


@dataclass(slots=True)
class _Sighting:
    """All times are monotonic seconds."""

    other: Other
    since: float
    free_since: float | None
    looked_at: float


class DaemonWatch:
    """Other daemons' renewals."""

    def __init__(self) -> None:
        self._sightings: dict[int, _Sighting] = {}

    def judge(self, others: Iterable[Other], asked: float, answered: float) -> list[Dead]:
        """Who is dead, after one look at all leases that have not ended.

        A renewal seen for the first time counts from `answered`, and lasts until `asked` of the latest look, so that the time
        between is never taken for longer than it was.

        Args:
            others: what was found.
            asked: when the question was sent, in monotonic seconds.
            answered: when the answer had come.
        """
        before, self._sightings = self._sightings, {}
        dead = []
        for other in others:
            sighting = _seen(before.get(other.daemon_id), other, asked, answered)
            self._sightings[other.daemon_id] = sighting
            if sighting.free_since is not None and asked - sighting.free_since >= SUSPICION_SECONDS:
                dead.append(Dead(other, SESSION_GONE))
            elif asked - sighting.since >= other.lease_seconds:
                dead.append(Dead(other, LEASE_RAN_OUT))
        return dead


def _seen(before: _Sighting | None, other: Other, asked: float, answered: float) -> _Sighting:
    free = answered if other.lock_free else None
    if before is None or asked - before.looked_at > max(SUSPICION_SECONDS, other.lease_seconds * LONGEST_GAP_SHARE):
        return _Sighting(other, answered, free, answered)
    renewed = before.other.renewed_at != other.renewed_at
    still_free = other.lock_free and before.free_since is not None
    return _Sighting(
        other,
        since=answered if renewed else before.since,
        free_since=before.free_since if still_free else free,
        looked_at=answered,
    )


class OverdueWatch:
    """Jobs that were found past their deadline by the wall clock, each under one lease."""

    def __init__(self) -> None:
        self._since: dict[tuple[int, int], float] = {}

    def judge(self, overdue: Iterable[tuple[int, int]], now: float, patience: float) -> list[tuple[int, int]]:
        """Which of them have been so for `patience` seconds: since then no step of the clock explains it.

        Args:
            overdue: job and lease of all that are found now; others are forgotten.
            now: monotonic seconds.
            patience: seconds.
        """
        self._since = {one: self._since.get(one, now) for one in overdue}
        return [one for one, since in self._since.items() if now - since >= patience]
