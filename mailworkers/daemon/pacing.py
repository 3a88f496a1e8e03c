"""How fast this daemon sends: what people have set, what it learned from replies, and what the others learned.

Once a second it reads what is shared, and tells what it knows itself. Learned rates are kept to where jobs are claimed, so
that a mail costs nothing more; limits that must hold in any window are kept to where mails leave (`Limiter`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from mailworkers.daemon.slowing import Slowing
from mailworkers.daemon.vitals import Lowered, Vitals
from mailworkers.limits import Limiter, Paces, Scope, Sharing
from mailworkers.limits.keys import EACH, OTHERS, Limits, lane_name
from mailworkers.limits.pace import FLOOR, Pace
from mailworkers.limits.sharing import FRESH_SECONDS, Learned, LimitSet, Name, Told, combined
from mailworkers.queue.states import Job, Lane

ROUND_SECONDS: Final = 1.0  # between two looks at what is shared: what a person sets is in force by then
RESTED_SECONDS: Final = 0.5  # a rest that others have nearly ended is not begun
SHORTEST_WAIT_SECONDS: Final = 0.02  # tokens of a fast limit come in such portions
LONGEST_WAIT_SECONDS: Final = 0.5  # for tokens of a slow one: it may be raised meanwhile, which counts within a second
# Nothing could be told for longer, as while the database was away: what is missing then is too old to be read, not taken away.
SILENT_SECONDS: Final = FRESH_SECONDS / 2
RELAY: Final = "relay"

log = structlog.get_logger(__name__)

Key = Lane | str


class Rests(Protocol):
    """Where lanes rest: `mailworkers.daemon.lanes.LaneBook`."""

    def rest(self, lane: Lane, seconds: float, reason: str) -> None:
        """Claim nothing of this lane for a while."""

    def wake(self, lane: Lane) -> None:
        """Claim of it again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the settings say at the moment: limits for each of a scope, their buffer in percent, and names.

    `instance` is this daemon's, the same after a restart; `provider` the relay's.
    """

    limits: Limits
    buffer_percent: int
    instance: str
    provider: str


class Pacing:
    """The rates of one daemon.

    Args:
        limiter: told what is set.
        sharing: the database.
        book: told which lanes rest.
        vitals: shows what is lowered.
        asked: gives what the settings say.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        limiter: Limiter,
        sharing: Sharing,
        book: Rests,
        vitals: Vitals,
        asked: Callable[[], Asked],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changed = asyncio.Event()  # a person has set or reset something: look at once
        self.load = Slowing(clock)
        self._limiter = limiter
        self._sharing = sharing
        self._book = book
        self._vitals = vitals
        self._asked = asked
        self._clock = clock
        self._paces: Paces[Key] = Paces(clock, self._floor)
        self._set: tuple[LimitSet, ...] = ()
        self._floors: dict[Name, float] = {}
        self._told: set[Name] = set()
        self._told_at = 0.0
        self._over: set[Name] = set()
        self._elsewhere: dict[Name, float] = {}  # what this daemon would have of what others share, by lane
        self._began = True

    # What replies say ---------------------------------------------------------------------------------------------

    def accepted(self, lane: Lane) -> None:
        """The relay took a mail."""
        self._paces.accepted(lane)
        if RELAY in self._paces.known:
            self._paces.known[RELAY].accepted(self._clock())

    def answered(self, lane: Lane) -> None:
        """The relay refused a mail for a reason that is not the rate."""
        self._paces.answered(lane)

    def refused(self, lane: Lane, begun: float, reason: str, named: float | None) -> float:
        """The relay asked for less; the seconds for which the lane rests now, 0 where that was known.

        Args:
            lane: whose mail it was.
            begun: when that was begun, in monotonic seconds.
            reason: in one line.
            named: seconds that the relay asked for.
        """
        return self._refused(lane, begun, reason, named)

    def refused_connection(self, reason: str, named: float | None) -> None:
        """The relay asked for less before it took any mail: that is about all lanes."""
        self._refused(RELAY, self._clock(), reason, named)

    def rest(self, lane: Lane, seconds: float, reason: str) -> None:
        """Claim nothing of this lane for a while."""
        self._book.rest(lane, seconds, reason)
        self._vitals.resting_lanes[str(lane)] = reason

    def is_lowered(self, lane: Lane) -> bool:
        """Whether the lane has a learned rate."""
        return lane in self._paces.known

    def _refused(self, key: Key, begun: float, reason: str, named: float | None) -> float:
        is_new = key not in self._paces.known
        recent = self._paces.total() if key is RELAY else None
        rest = self._paces.refused(key, begun, reason, named, recent)
        if is_new and key in self._paces.known:
            log.warning("the relay asks for less", of=str(key), rest=round(rest, 1), problem=reason)
        return rest

    # What may be claimed -------------------------------------------------------------------------------------------

    def room(self, lane: Lane) -> float:
        """Mails of this lane that may be claimed now."""
        if self._elsewhere and lane not in self._paces.known:
            rate = self._elsewhere.get(_name(lane))
            if rate is not None:
                self._paces.adopt(lane, rate, "another daemon found out")
        if lane not in self._paces.known:
            return math.inf
        room = self._paces.room(lane)
        if room < 1:
            self._book.rest(lane, self._paces.wait(lane), "")
        return room

    def room_for_all(self) -> float:
        """Mails of all lanes together that may be claimed now."""
        relay = self._paces.room(RELAY) if self._paces.known else math.inf
        return min(relay, self.load.room())

    def wait(self) -> float:
        """Seconds until `room_for_all` has any."""
        relay = self._paces.wait(RELAY) if self._paces.known else 0.0
        return max(relay, self.load.wait())

    def claimed(self, jobs: Sequence[Job]) -> None:
        """These jobs are claimed. A lane that has used its rate up is not asked for more until it has room again."""
        self.load.take(len(jobs))
        known = self._paces.known
        if not known:
            return
        counts: dict[Key, int] = {}
        for job in jobs:
            counts[job.lane] = counts.get(job.lane, 0) + 1
        self._paces.take(RELAY, len(jobs))
        for lane, count in counts.items():
            pace = known.get(lane)
            if pace is not None and isinstance(lane, Lane):
                now = self._clock()
                pace.take(now, count)
                wait = pace.wait(now)
                if wait > 0:
                    self._book.rest(lane, wait, "")

    def lacks_tokens(self, lane: Lane, wait: float) -> None:
        """What is set for this lane is used up: claim of it again in so many seconds, or look whether that is so."""
        self._book.rest(lane, min(max(wait, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS), "")

    # What is shared ------------------------------------------------------------------------------------------------

    async def step(self) -> None:
        """The next round, when it is due or a person has changed something. Raises DatabaseError."""
        due = self._clock() + ROUND_SECONDS
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await self.changed.wait()
        except TimeoutError:
            self._watch_load(self._clock() - due)
        await self.round()

    def _watch_load(self, late: float) -> None:
        load, vitals = self.load, self._vitals
        load.loop.add(max(0.0, late))
        load.tick(self._paces.total().rate(self._clock()))
        if load.reason is not None and vitals.slowed_by_load is None:
            log.warning("slower than usual: fewer mails are claimed", problem=load.reason)
        elif load.reason is None and vitals.slowed_by_load is not None:
            log.info("as fast as usual again")
        vitals.slowed_by_load, vitals.load_rate = load.reason, load.rate

    def configure(self) -> None:
        """The settings have changed."""
        asked = self._asked()
        self._limiter.configure(*combined(asked.limits, self._set, asked.buffer_percent))
        self._floors = {(one.scope, one.name): one.floor for one in self._set if one.floor is not None}

    async def round(self) -> None:
        """Look at what is shared, and tell what is known here. Raises DatabaseError."""
        self.changed.clear()
        read = await self._sharing.read()
        if read.limits is not None:
            self._set = read.limits
            self.configure()
        instance = self._asked().instance
        self._learn(read.learned, instance)
        self._over.update(name for key in self._paces.tick() if (name := self._name_of(key)) in self._told)
        await self._tell(instance)
        self._show(read.learned)

    def _learn(self, learned: Mapping[Name, Sequence[Learned]], instance: str) -> None:
        own = {name for name, rows in learned.items() if any(one.instance == instance for one in rows)}
        if self._clock() - self._told_at > SILENT_SECONDS:
            self._told &= own
        for name in self._told - own:  # a person has taken it away
            key = self._key_of(name)
            self._told.discard(name)
            self._paces.forget(key)
            if isinstance(key, Lane):
                self._book.wake(key)
        self._elsewhere = {}
        for name, rows in learned.items():
            key = self._key_of(name)
            if self._began and name in own:
                self._take_up(key, name, next(one for one in rows if one.instance == instance))
            others = [one for one in rows if one.instance != instance]
            if not others or not isinstance(key, Lane):
                continue
            longest = max(others, key=lambda one: one.rests)
            if longest.rests > RESTED_SECONDS:
                self._book.rest(key, longest.rests, longest.reason)
            if key not in self._paces.known:
                self._elsewhere[name] = sum(one.rate for one in others) / (len(others) + 1)
        self._began = False

    def _take_up(self, key: Key, name: Name, row: Learned) -> None:
        """What this daemon had learned before it was started again."""
        self._told.add(name)
        self._paces.adopt(key, row.rate, row.reason)
        if key in self._paces.known:
            self._paces.known[key].rests_until = self._clock() + row.rests
            if isinstance(key, Lane) and row.rests > RESTED_SECONDS:
                self._book.rest(key, row.rests, row.reason)

    async def _tell(self, instance: str) -> None:
        now = self._clock()
        told = [self._row(key, pace, now) for key, pace in self._paces.known.items()]
        over, self._over = self._over, set()
        if not told and not over:
            return
        try:
            await self._sharing.tell(instance, told, over)
        except BaseException:
            self._over |= over
            raise
        self._told, self._told_at = {(one.scope, one.name) for one in told}, now

    def _row(self, key: Key, pace: Pace, now: float) -> Told:
        scope, name = self._name_of(key)
        good = pace.good if pace.good < math.inf else None
        rests = max(0.0, pace.rests_until - now)
        return Told(scope, name, pace.rate, good, rests, pace.reason, (scope, name) not in self._told)

    def _show(self, learned: Mapping[Name, Sequence[Learned]]) -> None:
        now = self._clock()
        shown = self._vitals.lowered
        shown.clear()
        for key, pace in self._paces.known.items():
            others = sum(
                one.rate for one in learned.get(self._name_of(key), ()) if one.instance != self._asked().instance
            )
            rests = max(0.0, pace.rests_until - now)
            shown[str(key)] = Lowered(pace.rate, pace.rate + others, now - pace.began, rests, pace.reason)

    def _floor(self, key: Key) -> float:
        """The nearest that is set: of the lane, its destination, its workspace, or of each of them."""
        if not self._floors or not isinstance(key, Lane):
            return self._floors.get((Scope.PROVIDER, self._asked().provider), FLOOR)
        group = key.destination_group or OTHERS
        names = (_name(key), (Scope.DESTINATION, group), (Scope.WORKSPACE, key.workspace_id))
        each = tuple((scope, EACH) for scope, _ in names)
        return next((self._floors[name] for name in (*names, *each) if name in self._floors), FLOOR)

    def _name_of(self, key: Key) -> Name:
        return _name(key) if isinstance(key, Lane) else (Scope.PROVIDER, self._asked().provider)

    @staticmethod
    def _key_of(name: Name) -> Key:
        if name[0] is not Scope.LANE:
            return RELAY
        workspace, _, group = name[1].rpartition("/")
        return Lane(workspace, group)


def _name(lane: Lane) -> Name:
    return (Scope.LANE, lane_name(lane.workspace_id, lane.destination_group))
