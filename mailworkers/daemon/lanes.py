"""Which lanes have work, how far claims have come in each, and which of them rest.

A front is one priority and campaign of a lane: claims go on from its bound, since what lies before it was taken, and dead index
entries there cost nothing then. Retries and late commits appear before the bound, so the book is renewed from the
database now and then.

Where there are more fronts than one look brings, the book holds one part of them after the other, in the order of their
names: no lane waits for ever, though urgent mail of another part waits for that part's turn.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailworkers.queue.claim import MOST_HEADS, Bound, Head, Wish
from mailworkers.queue.states import Job, Lane

MOST_LANES_A_CLAIM = 64  # each costs an index descent; the others have their turn in the next claim
# Lanes that were emptied and are still looked at beyond their bounds: their next job need not wait for a full look.
MOST_EMPTY_FRONTS = 16
# Fronts whose bounds are kept, emptied or not: those that were claimed from last, where dead index entries lie.
MOST_BOUNDS = 256


@dataclass(slots=True)
class Front:
    """`due_at` and all times of this book are monotonic seconds."""

    lane: Lane
    priority: int
    campaign: int
    from_at: datetime
    from_id: int
    due_at: float
    drained: bool = False


@dataclass(slots=True)
class LaneBook:
    """What the dispatcher knows of the queue between two looks. `beyond` is where the next look goes on; None: at the
    beginning."""

    beyond: Head | None = None
    _fronts: dict[tuple[Lane, int, int], Front] = field(default_factory=dict)
    _resting: dict[Lane, tuple[float, str]] = field(default_factory=dict)
    _bounds: dict[tuple[Lane, int, int], Bound] = field(default_factory=dict)
    _turn: int = 0
    _whole: bool = True

    def renew(self, heads: Sequence[Head]) -> None:
        """Take over what a look at the database showed. Of fronts that are empty now, the latest few are remembered."""
        now = time.monotonic()
        began, self.beyond = self.beyond, heads[-1] if len(heads) >= MOST_HEADS else None
        self._whole = began is None and self.beyond is None
        known = self._fronts
        self._fronts = {
            (head.lane, head.priority, head.campaign): Front(
                head.lane, head.priority, head.campaign, head.scheduled_at, head.id, due_at=now + head.due_in
            )
            for head in heads
        }
        empty = [key for key, front in known.items() if key not in self._fronts and front.due_at <= now]
        for key in empty[:MOST_EMPTY_FRONTS]:
            known[key].drained = True
            self._fronts[key] = known[key]

    @property
    def whole(self) -> bool:
        """Whether the last look saw every front that there was."""
        return self._whole

    def revive(self) -> None:
        """Look again beyond the bounds of fronts that seemed drained: the cheap look."""
        for front in self._fronts.values():
            front.drained = False

    def plan(self, jobs: int, allowance: Callable[[Lane], float]) -> list[Wish]:
        """Share `jobs` out: the best priority first, lanes of one priority in turn and equally.

        Args:
            jobs: at most so many in all.
            allowance: how many a lane may have now.
        """
        wishes: list[Wish] = []
        allowed: dict[Lane, float] = {}
        for fronts in self._due_by_priority():
            if jobs <= 0 or len(wishes) >= MOST_LANES_A_CLAIM:
                break
            able = [front for front in fronts if allowed.setdefault(front.lane, allowance(front.lane)) >= 1]
            chosen = self._in_turn(able, min(jobs, MOST_LANES_A_CLAIM - len(wishes)))
            for place, front in enumerate(chosen):
                share = -(-jobs // (len(chosen) - place))
                take = int(min(share, jobs, allowed[front.lane]))
                if take > 0:
                    allowed[front.lane] -= take
                    jobs -= take
                    wishes.append(Wish(front.lane, front.priority, front.campaign, front.from_at, front.from_id, take))
        return wishes

    def learn(self, wishes: Sequence[Wish], jobs: Sequence[Job]) -> None:
        """Move the bounds to where a claim ended; a front that gave less than was wished is drained."""
        last: dict[tuple[Lane, int, int], Job] = {}
        count: dict[tuple[Lane, int, int], int] = defaultdict(int)
        for job in jobs:
            key = (job.lane, job.row["priority"], job.row["campaign"])
            last[key] = job
            count[key] += 1
        for wish in wishes:
            key = (wish.lane, wish.priority, wish.campaign)
            if key in last:
                self._bounds.pop(key, None)  # the latest goes to the end
                self._bounds[key] = Bound(*key, last[key].row["scheduled_at"], last[key].id)
            front = self._fronts.get(key)
            if front is None:
                continue
            front.drained = count[key] < wish.take
            if key in last:
                front.from_at, front.from_id = last[key].row["scheduled_at"], last[key].id
        while len(self._bounds) > MOST_BOUNDS:
            del self._bounds[next(iter(self._bounds))]

    def bounds(self) -> list[Bound]:
        """How far claims have come, where they were made last."""
        return list(self._bounds.values())

    def rest(self, lane: Lane, seconds: float, reason: str) -> None:
        """Claim nothing of this lane for a while."""
        until = time.monotonic() + seconds
        if until > self._resting.get(lane, (0.0, ""))[0]:
            self._resting[lane] = (until, reason)

    def resting(self) -> dict[Lane, tuple[float, str]]:
        """Lanes that rest now: until when, and why."""
        now = time.monotonic()
        for lane in [lane for lane, (until, _) in self._resting.items() if until <= now]:
            del self._resting[lane]
        return self._resting

    @property
    def drained(self) -> bool:
        """Whether no front is known that has work due now and may be claimed from."""
        return next(iter(self._due_by_priority()), None) is None

    def next_due(self) -> float | None:
        """Seconds until a front that is not due yet will be, or a resting lane wakes; None where neither is known."""
        now = time.monotonic()
        moments = [front.due_at for front in self._fronts.values() if front.due_at > now]
        moments += [until for until, _ in self.resting().values()]
        return max(0.0, min(moments) - now) if moments else None

    def oldest_due(self) -> float | None:
        """Seconds for which the oldest known unclaimed job has been due; None where nothing is."""
        now = time.monotonic()
        ages = [now - front.due_at for front in self._fronts.values() if front.due_at <= now and not front.drained]
        return max(ages) if ages else None

    def due_heads(self, most: int) -> list[Head]:
        """Where due work is, for counting it; at most `most` fronts."""
        now = time.monotonic()
        due = [front for front in self._fronts.values() if front.due_at <= now]
        return [
            Head(front.lane, front.priority, front.campaign, front.from_at, front.from_id, 0.0) for front in due[:most]
        ]

    def _due_by_priority(self) -> Iterable[list[Front]]:
        now = time.monotonic()
        resting = self.resting()
        by_priority: dict[int, list[Front]] = defaultdict(list)
        for front in self._fronts.values():
            if front.due_at <= now and not front.drained and front.lane not in resting:
                by_priority[front.priority].append(front)
        return [by_priority[priority] for priority in sorted(by_priority)]

    def _in_turn(self, fronts: list[Front], most: int) -> list[Front]:
        if len(fronts) <= most:
            return fronts
        start = self._turn % len(fronts)
        self._turn += most
        return (fronts[start:] + fronts[:start])[:most]
