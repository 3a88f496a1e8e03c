"""What one daemon makes of what it learns, what others learned, and what people set; without a database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.pacing import Asked, Pacing
from mailworkers.daemon.vitals import Vitals
from mailworkers.limits import Ledger, Limiter, Scope, Sharing
from mailworkers.limits.sharing import Learned, LimitSet, Name, Read, Told
from mailworkers.queue.states import Lane
from tests.support.clock import Clock
from tests.support.jobs import made_up

LANE = Lane("acme", "google")
NAME: Name = (Scope.LANE, "acme/google")


@dataclass
class Shared:
    """The database in memory: what is read next, and what was told."""

    limits: tuple[LimitSet, ...] | None = None
    learned: dict[Name, list[Learned]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    over: list[Name] = field(default_factory=list)

    async def read(self) -> Read:
        return Read(self.limits, self.learned)

    async def tell(self, instance: str, told: Sequence[Told], over: Iterable[Name] = ()) -> None:
        self.told, self.over = list(told), list(over)
        for one in told:
            row = Learned(one.scope, one.name, instance, one.rate, one.good, one.rests, one.reason)
            if one.is_new or any(known.instance == instance for known in self.learned.get((one.scope, one.name), ())):
                others = [known for known in self.learned.get((one.scope, one.name), ()) if known.instance != instance]
                self.learned[one.scope, one.name] = [*others, row]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def book(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> LaneBook:
    monkeypatch.setattr("mailworkers.daemon.lanes.time.monotonic", clock)
    return LaneBook()


@pytest.fixture
def pacing(clock: Clock, shared: Shared, book: LaneBook) -> Pacing:
    asked = Asked({}, 10, "host#1", "relay.example")
    sharing: Sharing = shared  # type: ignore[assignment]
    limiter = Limiter(Ledger(None), clock)  # type: ignore[arg-type]
    return Pacing(limiter, sharing, book, Vitals(), lambda: asked, clock)


def lower(pacing: Pacing, clock: Clock, mails: int = 50) -> None:
    for _ in range(mails):
        pacing.accepted(LANE)
    assert pacing.refused(LANE, clock.now, "421 too many", None) > 0


def test_what_nobody_refused_may_be_claimed_without_end(pacing: Pacing) -> None:
    pacing.accepted(LANE)
    pacing.claimed([made_up(lane=LANE)])
    assert (pacing.room(LANE), pacing.room_for_all(), pacing.wait()) == (math.inf, math.inf, 0.0)


async def test_a_refusal_is_told_and_ends_with_the_row(
    pacing: Pacing, clock: Clock, shared: Shared, book: LaneBook
) -> None:
    lower(pacing, clock)
    pacing.rest(LANE, 30.0, "421 too many")
    await pacing.round()
    assert [(one.name, one.rate, one.is_new) for one in shared.told] == [("acme/google", 40.0, True)]
    await pacing.round()
    assert not shared.told[0].is_new

    # when a person takes it away, then the lane is free at once, and the row is not made again
    shared.learned.clear()
    await pacing.round()
    assert pacing.room(LANE) == math.inf
    assert book.resting() == {}
    assert shared.told[0].is_new is False or not shared.learned


def test_a_claim_that_uses_the_rate_up_lets_the_lane_rest_without_a_reason(
    pacing: Pacing, clock: Clock, book: LaneBook
) -> None:
    lower(pacing, clock)
    clock.now += 60
    room = int(pacing.room(LANE))
    pacing.claimed([made_up(number, lane=LANE) for number in range(1, room + 1)])
    ((until, reason),) = book.resting().values()
    assert 0 < until - clock.now < 0.1
    assert reason == ""


async def test_a_lane_that_others_lowered_begins_with_a_share(pacing: Pacing, shared: Shared) -> None:
    shared.learned[NAME] = [
        Learned(*NAME, "other#1", 60.0, 60.0, 0.0, "421"),
        Learned(*NAME, "third#1", 30.0, 30.0, 0.0, "421"),
    ]
    await pacing.round()
    assert pacing.room(LANE) == 0
    assert pacing.is_lowered(LANE)
    assert not pacing.is_lowered(Lane("acme"))


async def test_a_floor_that_is_set_is_kept(pacing: Pacing, clock: Clock, shared: Shared) -> None:
    shared.limits = (LimitSet(Scope.DESTINATION, "*", None, None, floor=7.0),)
    await pacing.round()
    lower(pacing, clock, mails=1)
    await pacing.round()
    assert shared.told[0].rate == 7.0


def test_a_refused_connection_holds_all_lanes_back(pacing: Pacing, clock: Clock) -> None:
    for _ in range(50):
        pacing.accepted(LANE)
    pacing.refused_connection("421 too many", None)
    assert pacing.room_for_all() == 0
    assert pacing.wait() > 0
    clock.now += 60
    assert pacing.room_for_all() >= 1


async def test_what_could_not_be_told_for_long_is_not_taken_for_reset(
    pacing: Pacing, shared: Shared, clock: Clock, book: LaneBook
) -> None:
    # given a lane that the relay wants left alone for minutes
    pacing.refused(LANE, clock(), "450 slower", 300.0)
    pacing.rest(LANE, 300.0, "450 slower")
    await pacing.round()

    # when the database was away for so long that what was told is too old to be read
    clock.now += 40.0
    shared.learned.clear()
    await pacing.round()

    # then the lane still rests, and all of it is told again
    assert pacing.is_lowered(LANE)
    assert LANE in book.resting()
    assert NAME in shared.learned

    # but what is missing a second after it was told was taken away by a person
    clock.now += 1.0
    shared.learned.clear()
    await pacing.round()
    assert not pacing.is_lowered(LANE)
    assert LANE not in book.resting()
