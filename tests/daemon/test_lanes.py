"""The lane book: who gets how much of the next claim, and where it begins."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailworkers.daemon.lanes import LARGE_CLAIM, MOST_FRONTS_A_CLAIM, LaneBook
from mailworkers.queue.claim import Head, Wish
from mailworkers.queue.states import Lane
from tests.support.jobs import made_up

THEN = datetime(2026, 11, 1, tzinfo=UTC)
A, B, C = Lane("a"), Lane("b"), Lane("c")


def head(lane: Lane, priority: int = 0, due_in: float = -1.0, id: int = 1) -> Head:  # noqa: A002
    return Head(lane, priority, 0, THEN, id, due_in)


def room(jobs: int) -> Callable[[int], float]:
    return lambda _priority: jobs


def shares(wishes: list[Wish]) -> list[tuple[Lane, int, int]]:
    return [(wish.lane, wish.priority, wish.take) for wish in wishes]


def took(book: LaneBook, jobs: int) -> list[Wish]:
    """Plan a claim of so many, which brings all that is wished."""
    wishes = book.plan(room(jobs))
    brought = [
        made_up(lane=wish.lane, priority=wish.priority, campaign=wish.campaign)
        for wish in wishes
        for _ in range(wish.take)
    ]
    book.learn(wishes, brought)
    return wishes


@pytest.fixture
def book() -> LaneBook:
    return LaneBook()


def test_lanes_of_one_priority_share_equally(book: LaneBook) -> None:
    book.renew([head(A), head(B), head(C)])
    assert shares(book.plan(room(9))) == [(A, 0, 3), (B, 0, 3), (C, 0, 3)]


def test_no_more_than_asked_for_is_shared_out(book: LaneBook) -> None:
    book.renew([head(A), head(B), head(C)])
    assert sum(wish.take for wish in book.plan(room(7))) == 7
    assert sum(wish.take for wish in book.plan(room(2))) == 2


def test_the_best_priority_comes_first_and_may_take_all(book: LaneBook) -> None:
    book.renew([head(A, priority=5), head(B, priority=-5)])
    assert shares(book.plan(room(4))) == [(B, -5, 4)]


def test_what_the_best_priority_may_not_have_goes_to_the_next(book: LaneBook) -> None:
    book.renew([head(A, priority=-5), head(B, priority=5)])
    wishes = book.plan(room(4), lambda lane: 1 if lane == A else math.inf)
    assert shares(wishes) == [(A, -5, 1), (B, 5, 3)]


def test_a_lanes_allowance_counts_over_its_priorities(book: LaneBook) -> None:
    book.renew([head(A, priority=-5), head(A, priority=5)])
    assert shares(book.plan(room(4), lambda _lane: 3)) == [(A, -5, 3)]


def test_jobs_that_are_not_due_are_not_planned_but_their_moment_is_known(book: LaneBook) -> None:
    book.renew([head(A, due_in=30.0), head(B, due_in=10.0)])
    assert book.drained
    assert book.plan(room(4)) == []
    assert book.next_due() == pytest.approx(10.0, abs=1.0)


def test_more_lanes_than_one_claim_may_have_take_turns(book: LaneBook) -> None:
    lanes = [Lane(f"w{number:04}") for number in range(MOST_FRONTS_A_CLAIM * 2)]
    book.renew([head(lane) for lane in lanes])
    first = {wish.lane for wish in took(book, MOST_FRONTS_A_CLAIM)}
    second = {wish.lane for wish in took(book, MOST_FRONTS_A_CLAIM)}
    assert len(first) == len(second) == MOST_FRONTS_A_CLAIM
    assert first | second == set(lanes)


def test_a_claim_goes_on_where_the_last_one_ended(book: LaneBook) -> None:
    book.renew([head(A)])
    wishes = book.plan(room(2))
    later = THEN + timedelta(seconds=1)
    jobs = [made_up(7, lane=A), made_up(9, lane=A, scheduled_at=later)]

    book.learn(wishes, jobs)

    (wish,) = book.plan(room(2))
    assert (wish.from_at, wish.from_id) == (later, 9)


def test_a_front_that_gave_less_than_wished_is_drained_until_it_is_revived_or_seen_again(book: LaneBook) -> None:
    book.renew([head(A), head(B)])
    wishes = book.plan(room(4))
    book.learn(wishes, [made_up(1, lane=A), made_up(2, lane=A), made_up(3, lane=B)])
    assert shares(book.plan(room(4))) == [(A, 0, 4)]

    book.revive()
    assert shares(book.plan(room(4))) == [(A, 0, 2), (B, 0, 2)]


def test_a_resting_lane_costs_the_others_nothing(book: LaneBook, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mailworkers.daemon.lanes.time.monotonic", lambda: now)
    book.renew([head(A), head(B)])
    book.rest(A, 30.0, "slower, please")
    assert shares(book.plan(room(4))) == [(B, 0, 4)]
    assert book.resting()[A] == (1030.0, "slower, please")

    now = 1030.0
    assert shares(book.plan(room(4))) == [(A, 0, 2), (B, 0, 2)]


def test_what_may_not_be_claimed_is_known_by_lane_and_campaign(book: LaneBook) -> None:
    assert not book.barring
    book.rest(A, 30.0, "slower, please")
    book.rest_front(B, 7, time.monotonic() + 60, "enough for today")
    book.hold(frozenset({8}))

    assert book.barring
    assert book.bars(A, 0)
    assert [book.bars(B, campaign) for campaign in (0, 7, 8)] == [False, True, True]


def test_a_shorter_rest_does_not_end_a_longer_one(book: LaneBook) -> None:
    book.rest(A, 300.0, "refused")
    book.rest(A, 1.0, "slower")
    assert book.resting()[A][1] == "refused"


def test_a_front_that_rests_by_itself_does_not_wait(book: LaneBook) -> None:
    # given a lane with mail of a campaign and of none
    book.renew([replace(head(A, priority=10, due_in=-600.0), campaign=7), head(A, due_in=-60.0)])
    # when the campaign rests there
    book.rest_front(A, 7, time.monotonic() + 60, "its sender is warmed up enough for today")
    # then it neither counts nor is late
    assert book.oldest_due() == pytest.approx(60.0, abs=1.0)
    assert [due.campaign for due in book.due_heads(10)] == [0]
    # until its rest is over
    book.rest_front(A, 7, 0.0, "")
    assert book.oldest_due() == pytest.approx(600.0, abs=1.0)
    assert len(book.due_heads(10)) == 2


def test_the_age_of_the_oldest_due_job_is_known(book: LaneBook) -> None:
    assert book.oldest_due() is None
    book.renew([head(A, due_in=-5.0), head(B, due_in=-60.0), head(C, due_in=9.0)])
    assert book.oldest_due() == pytest.approx(60.0, abs=1.0)
    assert [one.lane for one in book.due_heads(10)] == [A, B]


def test_a_look_forgets_what_is_no_longer_there(book: LaneBook) -> None:
    book.renew([head(A), head(B)])
    book.renew([replace(head(B), id=5)])
    assert shares(book.plan(room(1))) == [(B, 0, 1)]


def test_a_full_look_is_gone_on_with_and_then_begun_anew(book: LaneBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworkers.daemon.lanes.MOST_HEADS", 2)
    book.renew([head(A), head(B)])
    assert book.beyond == head(B)
    assert not book.whole

    book.renew([head(C)])
    assert shares(book.plan(room(1))) == [(C, 0, 1)]
    assert book.beyond is None
    assert not book.whole

    book.renew([head(A)])
    assert book.whole


def test_the_bounds_of_what_was_claimed_from_last_are_kept_though_nothing_is_left_there(
    book: LaneBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.daemon.lanes.MOST_BOUNDS", 2)
    book.renew([head(A), head(B), head(C)])
    for number, lane in enumerate((A, B, A, C)):
        wish = Wish(lane, 0, 0, THEN, 1, 1)
        book.learn([wish], [made_up(7 + number, lane=lane, scheduled_at=THEN)])
    book.renew([])
    assert [(bound.lane, bound.priority, bound.from_at, bound.from_id) for bound in book.bounds()] == [
        (A, 0, THEN, 9), (C, 0, THEN, 10),
    ]  # fmt: skip


def test_workspaces_share_whatever_the_number_of_their_lanes_and_campaigns(book: LaneBook) -> None:
    many = [Head(Lane("a", group), 0, campaign, THEN, 1, -1.0) for group in ("", "google") for campaign in (0, 7, 8)]
    book.renew([*many, head(B)])
    wishes = book.plan(room(60))
    assert sum(wish.take for wish in wishes if wish.lane == B) == 30
    assert sorted(wish.take for wish in wishes if wish.lane != B) == [5] * 6


def test_the_fronts_of_a_workspace_take_turns_also_in_claims_of_one(book: LaneBook) -> None:
    fronts = [Head(Lane("a", group), 0, campaign, THEN, 1, -1.0) for group in ("", "google") for campaign in (0, 7)]
    book.renew(fronts)
    taken = [took(book, 1)[0].key for _ in range(8)]
    assert taken == [front.key for front in fronts] * 2


def test_weights_count_over_claims_of_any_size(book: LaneBook) -> None:
    book.treat({"b": 3.0}, frozenset())
    book.renew([head(A), head(B)])
    got = dict.fromkeys((A, B), 0)
    for size in (1, 2, 3, 500) * 20:
        for wish in took(book, size):
            got[wish.lane] += wish.take
    assert abs(got[B] - 3 * got[A]) <= 4


def test_what_is_held_or_paused_is_passed_by_and_then_goes_on(book: LaneBook) -> None:
    book.renew([Head(A, 0, 7, THEN, 1, -60.0), head(B), head(C)])
    book.hold(frozenset({7}))
    book.treat({}, frozenset({"b"}))
    assert shares(book.plan(room(2))) == [(C, 0, 2)]
    assert [one.lane for one in book.due_heads(10)] == [C]
    assert book.oldest_due() == pytest.approx(1.0, abs=0.5)
    book.hold(frozenset())
    book.treat({}, frozenset())
    assert {wish.lane for wish in book.plan(room(9))} == {A, B, C}


def test_only_held_work_is_no_work(book: LaneBook) -> None:
    book.renew([Head(A, 0, 7, THEN, 1, -60.0)])
    book.hold(frozenset({7}))
    assert book.drained
    assert book.due_priorities() == []


def test_one_campaign_of_a_lane_rests_without_the_others(book: LaneBook, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mailworkers.daemon.lanes.time.monotonic", lambda: now)
    book.renew([Head(A, 0, 7, THEN, 1, -1.0), Head(A, 0, 8, THEN, 1, -1.0)])
    book.rest_front(A, 7, 1030.0, "enough for today")
    assert [wish.campaign for wish in book.plan(room(4))] == [8]
    assert book.next_due() == pytest.approx(30.0)
    now = 1030.0
    assert {wish.campaign for wish in book.plan(room(4))} == {7, 8}
    book.rest_front(A, 7, 1060.0, "enough for today")
    book.rest_front(A, 7, 0.0, "")
    assert book.resting_fronts() == {}


def test_a_workspaces_allowance_counts_over_its_lanes(book: LaneBook) -> None:
    book.renew([head(Lane("a", "")), head(Lane("a", "google")), head(B)])
    wishes = book.plan(room(100), workspace_allowance=lambda workspace: 5 if workspace == "a" else math.inf)
    assert sum(wish.take for wish in wishes if wish.lane != B) == 5
    assert sum(wish.take for wish in wishes) == 100


def test_a_groups_allowance_is_shared_by_the_lanes_of_all_workspaces(book: LaneBook) -> None:
    """Given thirty workspaces that write to one mailbox provider, when it takes little more, then no more is claimed."""
    lanes = [Lane(f"w{number:02}", "google") for number in range(30)]
    book.renew([head(lane) for lane in lanes])
    got: Counter[Lane] = Counter()
    for few in (7, 23, 100):
        wishes = book.plan(room(1000), group_allowance={"google": few}.__getitem__)
        book.learn(wishes, [made_up(lane=wish.lane) for wish in wishes for _ in range(wish.take)])
        assert sum(wish.take for wish in wishes) == few
        got.update({wish.lane: wish.take for wish in wishes})
        book.renew([head(lane) for lane in lanes])
    assert set(got) == set(lanes)
    assert max(got.values()) - min(got.values()) <= 1


@pytest.mark.parametrize("left", [-3.0, 0.0, 0.5, 7.0])
def test_what_a_group_may_not_have_goes_to_others(book: LaneBook, left: float) -> None:
    lanes = [Lane(f"w{number:02}", "google") for number in range(30)]
    book.renew([*(head(lane) for lane in lanes), head(Lane("w00", "yahoo")), head(A)])
    wishes = book.plan(room(500), group_allowance=lambda group: left if group == "google" else math.inf)
    assert sum(wish.take for wish in wishes if wish.lane in lanes) == max(0, int(left))
    assert sum(wish.take for wish in wishes) == 500


def test_where_work_was_last_is_looked_first_and_only_where_it_is_more_urgent(book: LaneBook) -> None:
    book.renew([head(A), head(B, priority=10)])
    book.learn(book.plan(room(4)), [made_up(1, lane=A), made_up(2, lane=A)])
    book.renew([head(B, priority=10)])
    assert shares(book.probe(10, lambda _lane: True, better_than=10)) == [(A, 0, 10)]
    assert book.probe(10, lambda _lane: True, better_than=0) == []
    assert book.probe(10, lambda lane: lane != A) == []


def test_a_claim_that_ended_because_of_its_size_drains_nobody(book: LaneBook) -> None:
    book.renew([head(A), head(B)])
    book.learn(book.plan(room(4)), [made_up(1, lane=A, size=LARGE_CLAIM)])
    wishes = book.plan(room(4))
    assert {wish.lane for wish in wishes} == {A, B}
    assert wishes[0].lane == B  # which got nothing


def test_of_a_thousand_workspaces_none_is_far_ahead_at_any_time(book: LaneBook) -> None:
    lanes = [Lane(f"w{number:04}") for number in range(1000)]
    got = dict.fromkeys(lanes, 0)
    book.renew([head(lane) for lane in lanes])
    for _ in range(200):  # 100 mails each, on average
        for wish in took(book, 500):
            got[wish.lane] += wish.take
    assert max(got.values()) <= 110
    assert min(got.values()) >= 90


def test_claims_that_failed_cost_nobody_a_turn(book: LaneBook) -> None:
    """Given an outage in which one workspace could have more than another, when it is over, then neither makes up for it."""
    book.renew([head(A), head(B)])
    took(book, 100)
    for _ in range(100):
        book.plan(room(1000), lambda lane: 5 if lane == A else math.inf)  # and the claim raises

    assert shares(took(book, 100)) == [(A, 0, 50), (B, 0, 50)]


def test_guesses_that_failed_cost_nobody_a_turn(book: LaneBook) -> None:
    book.renew([head(A), head(B)])
    took(book, 100)
    book.learn(book.plan(room(100)), [])
    for _ in range(100):
        assert book.probe(10, lambda lane: lane == A)  # and the claim raises
    book.revive()

    assert shares(took(book, 100)) == [(A, 0, 50), (B, 0, 50)]
