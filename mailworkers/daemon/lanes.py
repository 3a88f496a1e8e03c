"""Which fronts have work, how far claims have come in each, and which of them rest or are held.

A front is one priority and campaign of a lane: claims go on from its bound, since what lies before it was taken, and dead index
entries there cost nothing then. Retries and late commits appear before the bound: now and then the database is asked.

Where there are more fronts than one look brings, the book holds one part of them after the other, by their names: no lane waits for
ever, though urgent mail of another part waits for that part's turn.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from mailworkers.daemon.allowances import Allowances
from mailworkers.daemon.shares import Shares
from mailworkers.queue.claim import MOST_HEADS, Bound, Head, Wish
from mailworkers.queue.states import Job, Lane

MOST_FRONTS_A_CLAIM = 64  # each costs an index descent; the others have their turn in the next claim
MOST_EMPTY_FRONTS = 16  # emptied, and looked at beyond their bounds: their next job need not wait for a full look
# Fronts whose bounds are kept, emptied or not: those that were claimed from last, where dead index entries lie.
MOST_BOUNDS = 256
# Content that shows that a claim may have ended because of its size, in characters: what it did not bring may still be there.
LARGE_CLAIM = 8 * 1024 * 1024

FrontKey = tuple[str, str, int, int]  # workspace, destination group, priority, campaign


@dataclass(slots=True)
class Front:
    """`due_at` and all times of this book are monotonic seconds."""

    key: FrontKey
    lane: Lane
    from_at: datetime
    from_id: int
    due_at: float
    drained: bool = False

    @property
    def priority(self) -> int:
        """Smaller comes first."""
        return self.key[2]

    def wish(self, take: int) -> Wish:
        """To take so many from here."""
        return Wish(self.lane, self.key[2], self.key[3], self.from_at, self.from_id, take)


Fronts = dict[str, list[Front]]  # of one priority, by workspace


@dataclass(slots=True)
class LaneBook:
    """What the dispatcher knows of the queue between two looks. `beyond` is where the next look goes on; None: at the
    beginning."""

    beyond: Head | None = None
    _fronts: dict[FrontKey, Front] = field(default_factory=dict)
    _bounds: dict[FrontKey, Bound] = field(default_factory=dict)
    _resting: dict[Lane, tuple[float, str]] = field(default_factory=dict)
    _resting_fronts: dict[tuple[Lane, int], tuple[float, str]] = field(default_factory=dict)
    _held: AbstractSet[int] = frozenset()
    _paused: AbstractSet[str] = frozenset()
    _weights: dict[str, float] = field(default_factory=dict)
    _shares: dict[int, Shares] = field(default_factory=dict)
    _served: dict[tuple[int, str], FrontKey] = field(default_factory=dict)
    _whole: bool = True

    # ------------------------------------------------------------ what the database showed

    def renew(self, heads: Sequence[Head]) -> None:
        """Take over what a look at the database showed. Of fronts that are empty now, the latest few are remembered."""
        now = time.monotonic()
        began, self.beyond = self.beyond, heads[-1] if len(heads) >= MOST_HEADS else None
        self._whole = began is None and self.beyond is None
        self._fronts = {
            head.key: Front(head.key, head.lane, head.scheduled_at, head.id, now + head.due_in) for head in heads
        }
        room = MOST_EMPTY_FRONTS
        for bound in reversed(self._bounds.values()):
            if bound.key not in self._fronts:
                self._fronts[bound.key] = Front(bound.key, bound.lane, bound.from_at, bound.from_id, now, drained=True)
                room -= 1
                if not room:
                    break

    @property
    def whole(self) -> bool:
        """Whether the last look saw every front that there was."""
        return self._whole

    def revive(self) -> None:
        """Look again beyond the bounds of fronts that seemed drained: the cheap look."""
        for front in self._fronts.values():
            front.drained = False

    # ------------------------------------------------------------ what is claimed

    def plan(
        self,
        room: Callable[[int], float],
        lane_allowance: Callable[[Lane], float] = lambda _lane: math.inf,
        workspace_allowance: Callable[[str], float] = lambda _workspace: math.inf,
        group_allowance: Callable[[str], float] = lambda _group: math.inf,
    ) -> list[Wish]:
        """What to claim: the best priority first, in each the workspaces by their weights, and of each its fronts in turn.

        Args:
            room: for how many more jobs of a priority there is room, better ones included.
            lane_allowance: how many a lane may have now.
            workspace_allowance: how many a workspace may have now, in all its lanes.
            group_allowance: how many of a destination group there may be now, of all workspaces.
        """
        wishes: list[Wish] = []
        planned = 0
        allowed = Allowances(lane_allowance, workspace_allowance, group_allowance)
        for priority, fronts in self._due():
            jobs = int(min(room(priority), 1 << 30)) - planned
            if jobs <= 0 or len(wishes) >= MOST_FRONTS_A_CLAIM:
                break
            allowed.share(chain.from_iterable(fronts.values()), MOST_FRONTS_A_CLAIM)
            for front, take in self._shared_out(priority, fronts, jobs, MOST_FRONTS_A_CLAIM - len(wishes), allowed):
                planned += take
                wishes.append(front.wish(take))
        return wishes

    def probe(self, jobs: int, allowed: Callable[[Lane], bool], better_than: float = math.inf) -> list[Wish]:
        """Wishes where work was last and nothing is known of now: it mostly comes there again.

        Args:
            jobs: for about so many together.
            allowed: whether a lane may have any now.
            better_than: only fronts of better priorities.
        """
        chosen: list[Front] = []
        for key in reversed(self._bounds):
            front = self._fronts.get(key)
            if front is None or not front.drained or front.priority >= better_than:
                continue
            if not self.bars(front.lane, front.key[3]) and allowed(front.lane):
                chosen.append(front)
                if len(chosen) == MOST_EMPTY_FRONTS:
                    break
        each = max(1, jobs // len(chosen)) if chosen else 0
        return [front.wish(each) for front in chosen]

    def learn(self, wishes: Sequence[Wish], jobs: Sequence[Job]) -> None:
        """Move the bounds to where a claim ended; a front that gave less than was wished is drained. Workspaces pay for what they
        got: a claim that failed costs nobody anything."""
        keys = [
            (job.lane.workspace_id, job.lane.destination_group, job.row["priority"], job.row["campaign"])
            for job in jobs
        ]
        last, count = dict(zip(keys, jobs, strict=True)), Counter(keys)
        cut = sum([job.size for job in jobs]) >= LARGE_CLAIM
        for wish in wishes:
            key = wish.key
            job, front = last.get(key), self._fronts.get(key)
            if job is not None:
                self._account(wish.priority).charge(wish.lane.workspace_id, count[key])
                self._bounds.pop(key, None)  # the latest goes to the end
                self._bounds[key] = Bound(wish.lane, wish.priority, wish.campaign, job.row["scheduled_at"], job.id)
            if front is None:
                continue
            front.drained = count[key] < wish.take and not cut
            if job is not None:
                front.from_at, front.from_id = job.row["scheduled_at"], job.id
        while len(self._bounds) > MOST_BOUNDS:
            del self._bounds[next(iter(self._bounds))]

    def bounds(self) -> list[Bound]:
        """How far claims have come, where they were made last."""
        return list(self._bounds.values())

    # ------------------------------------------------------------ what is not claimed

    def rest(self, lane: Lane, seconds: float, reason: str) -> None:
        """Claim nothing of this lane for a while."""
        until = time.monotonic() + seconds
        if until > self._resting.get(lane, (0.0, ""))[0]:
            self._resting[lane] = (until, reason)

    def wake(self, lane: Lane) -> None:
        """Claim of this lane again."""
        self._resting.pop(lane, None)

    def rest_front(self, lane: Lane, campaign: int, until: float, why: str) -> None:
        """Claim nothing of this campaign in this lane until then, at whatever priority; 0 is mail of no campaign."""
        self._resting_fronts[lane, campaign] = (until, why)

    def hold(self, campaigns: AbstractSet[int]) -> None:
        """Claim nothing of these campaigns, and of all others again."""
        self._held = campaigns

    def treat(self, weights: Mapping[str, float], paused: AbstractSet[str]) -> None:
        """Which workspaces have a weight of their own, and of which nothing is claimed."""
        self._weights.clear()
        self._weights.update(weights)
        self._paused = paused

    @property
    def pauses(self) -> bool:
        """Whether any workspace is paused."""
        return bool(self._paused)

    def resting(self) -> dict[Lane, tuple[float, str]]:
        """Lanes that rest now: until when, and why."""
        now = time.monotonic()
        for lane in [lane for lane, (until, _) in self._resting.items() if until <= now]:
            del self._resting[lane]
        return self._resting

    def resting_fronts(self) -> dict[tuple[Lane, int], tuple[float, str]]:
        """Campaigns of lanes that rest now: until when, and why."""
        now = time.monotonic()
        for key in [key for key, (until, _) in self._resting_fronts.items() if until <= now]:
            del self._resting_fronts[key]
        return self._resting_fronts

    # ------------------------------------------------------------ what is known

    @property
    def barring(self) -> bool:
        """Whether there is any front that `bars`."""
        return bool(self._held or self._paused or self.resting() or self.resting_fronts())

    def bars(self, lane: Lane, campaign: int) -> bool:
        """Whether nothing of this front may be claimed now."""
        return self._holds(lane, campaign) or lane in self._resting or (lane, campaign) in self._resting_fronts

    @property
    def drained(self) -> bool:
        """Whether no front is known that has work due now and may be claimed from."""
        return next(self._open(), None) is None

    def due_priorities(self) -> list[int]:
        """Of what is known to be due and may be claimed; the best first."""
        return sorted({front.priority for front in self._open()})

    def due_lanes(self, most: int) -> list[Lane]:
        """Whose turn it is next, of what is known to be due and may be claimed; at most so many, not each only once."""
        lanes: list[Lane] = []
        for priority, fronts in self._due():
            for workspace in self._account(priority).in_turn(fronts):
                lanes += [front.lane for front in fronts[workspace]]
                if len(lanes) >= most:
                    return lanes[:most]
        return lanes

    def next_due(self) -> float | None:
        """Seconds until a front that is not due yet will be, or a resting one wakes; None where neither is known."""
        now = time.monotonic()
        moments = [front.due_at for front in self._fronts.values() if front.due_at > now]
        moments += [until for until, _ in self.resting().values()]
        moments += [until for until, _ in self.resting_fronts().values()]
        return max(0.0, min(moments) - now) if moments else None

    def oldest_due(self, besides: Callable[[Lane], bool] = lambda _lane: False) -> float | None:
        """Seconds for which the oldest known unclaimed job has been due; None where nothing is. What is held does not wait, nor
        what rests until tomorrow, nor what lies in lanes that are left out."""
        now = time.monotonic()
        resting = self.resting_fronts()
        ages = [
            now - front.due_at
            for front in self._fronts.values()
            if front.due_at <= now
            and not (front.drained or self._holds(front.lane, front.key[3]) or (front.lane, front.key[3]) in resting)
            and not besides(front.lane)
        ]
        return max(ages) if ages else None

    def due_heads(self, most: int) -> list[Head]:
        """Where due work is, for counting it; at most `most` fronts. What is held or rests by itself does not count."""
        now = time.monotonic()
        resting = self.resting_fronts()
        due = [
            front
            for front in self._fronts.values()
            if front.due_at <= now
            and not (self._holds(front.lane, front.key[3]) or (front.lane, front.key[3]) in resting)
        ]
        return [Head(front.lane, front.key[2], front.key[3], front.from_at, front.from_id, 0.0) for front in due[:most]]

    # ------------------------------------------------------------ whose turn it is

    def _shared_out(
        self, priority: int, fronts: Fronts, jobs: int, most: int, allowed: Allowances
    ) -> Iterator[tuple[Front, int]]:
        """Jobs of one priority among its workspaces, and those of each among its fronts."""
        shares = self._account(priority)
        each = max(1, most // min(most, len(fronts)))
        names: list[str] = []
        turns: list[list[Front]] = []
        may: list[float] = []
        for workspace in shares.in_turn(fronts):
            able = [front for front in fronts[workspace] if allowed.of(front) >= 1]
            if able:
                chosen = able if len(able) == 1 else self._in_turn(priority, able)[:each]
                names.append(workspace)
                turns.append(chosen)
                may.append(allowed.of(able[0]) if len(able) == 1 else allowed.together(chosen))
                if len(names) >= min(jobs, most):
                    break
        for workspace, chosen, share in zip(names, turns, shares.split(jobs, names, may) if names else (), strict=True):
            if share:
                if len(chosen) > 1:
                    self._served[priority, workspace] = chosen[share % len(chosen) - 1].key
                yield from _among(chosen, share, allowed)

    def _in_turn(self, priority: int, fronts: list[Front]) -> list[Front]:
        """The fronts of one workspace, beginning after the one that was served last."""
        fronts.sort(key=lambda front: front.key)
        served = self._served.get((priority, fronts[0].key[0]))
        if served is None:
            return fronts
        place = next((place for place, front in enumerate(fronts) if front.key > served), 0)
        return fronts[place:] + fronts[:place]

    def _account(self, priority: int) -> Shares:
        if priority not in self._shares:
            self._shares[priority] = Shares(self._weights)
        return self._shares[priority]

    def _due(self) -> list[tuple[int, Fronts]]:
        by_priority: dict[int, Fronts] = defaultdict(lambda: defaultdict(list))
        for front in self._open():
            by_priority[front.key[2]][front.key[0]].append(front)
        return sorted(by_priority.items())

    def _open(self) -> Iterator[Front]:
        """Fronts with work that is due and may be claimed."""
        now = time.monotonic()
        barring = self.barring
        for front in self._fronts.values():
            if not front.drained and front.due_at <= now and not (barring and self.bars(front.lane, front.key[3])):
                yield front

    def _holds(self, lane: Lane, campaign: int) -> bool:
        return campaign in self._held or lane.workspace_id in self._paused


def _among(fronts: Sequence[Front], share: int, allowed: Allowances) -> list[tuple[Front, int]]:
    """A workspace's share among its fronts, equally; what one may not have goes to the others."""
    takes = [0] * len(fronts)
    while share > 0:
        able = [place for place, front in enumerate(fronts) if allowed.of(front) >= 1]
        if not able:
            break
        for nth, place in enumerate(able):
            take = int(min(-(-share // (len(able) - nth)), allowed.of(fronts[place])))
            allowed.spend(fronts[place], take)
            takes[place] += take
            share -= take
    return [(front, take) for front, take in zip(fronts, takes, strict=True) if take]
