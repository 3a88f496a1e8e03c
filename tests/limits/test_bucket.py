"""The arithmetic of a bucket, and the inequality that everything rests on."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.limits.bucket import Bucket, Limit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MINUTELY = Limit(100, 60.0)
HOURLY = Limit(1000, 3600.0)

limits = st.builds(
    Limit,
    tokens=st.integers(1, 10**7),
    period=st.sampled_from([1.0, 60.0, 3600.0, 86400.0]),
    buffer_percent=st.integers(0, 99),
)


@given(limits)
def test_what_can_be_spent_in_a_window_is_below_one_more_than_the_limit(limit: Limit) -> None:
    assert limit.capacity + limit.rate * (limit.period + limit.hold) < limit.tokens + 1


@given(limits)
def test_every_limit_lets_something_through(limit: Limit) -> None:
    assert limit.capacity >= 1
    assert limit.rate > 0
    assert 0 < limit.hold <= 1


def test_the_buffer_is_kept_free() -> None:
    # 100 a minute with 10 %: 90 a minute for as long as one likes, in bursts of 5
    assert pytest.approx(90 / 60) == MINUTELY.rate
    assert pytest.approx(5) == MINUTELY.capacity
    assert MINUTELY.hold == 1


def test_without_a_buffer_almost_all_of_the_limit_is_used() -> None:
    assert Limit(1000, 3600.0, buffer_percent=0).rate * 3600 > 985
    assert Limit(1000, 1.0, buffer_percent=0).rate > 940


def test_what_the_buffer_leaves_over_lets_tokens_be_held_longer() -> None:
    # a daemon with a slow database needs it: one mail a second must not expire on its way
    assert Limit(1, 1.0).hold > 0.1
    assert Limit(1000, 1.0, buffer_percent=10).hold == pytest.approx(0.055, abs=0.01)
    assert Limit(1000, 1.0, buffer_percent=50).hold > 0.45


@pytest.mark.parametrize(
    ("tokens", "period", "buffer_percent", "complaint"),
    [
        (0, 60.0, 10, "at least 1"),
        (1, 0.0, 10, "above 0"),
        (1, math.inf, 10, "above 0"),
        (1, 60.0, 100, "between 0 and 99"),
        (1, 60.0, -1, "between 0 and 99"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(
    tokens: int, period: float, buffer_percent: int, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Limit(tokens, period, buffer_percent)


def test_a_bucket_grants_what_it_has_in_whole_tokens() -> None:
    bucket, granted = Bucket(3.7, 5, 1.5, NOW).leased(MINUTELY, NOW, wanted=10)
    assert granted == 3
    assert bucket.tokens == pytest.approx(0.7)


def test_a_bucket_fills_up_to_its_capacity() -> None:
    bucket, _ = Bucket(0, 5, 1.5, NOW).leased(MINUTELY, NOW + timedelta(seconds=2), wanted=0)
    assert bucket.tokens == pytest.approx(3)
    bucket, _ = bucket.leased(MINUTELY, NOW + timedelta(days=1), wanted=0)
    assert bucket.tokens == 5


def test_a_clock_that_was_set_back_gains_nothing_and_costs_no_wait() -> None:
    # given a bucket whose moment lies an hour ahead
    bucket = Bucket(0, 5, 1.5, NOW + timedelta(hours=1))
    # when it is leased from now, and again two seconds later
    bucket, granted = bucket.leased(MINUTELY, NOW, wanted=1)
    assert granted == 0
    bucket, granted = bucket.leased(MINUTELY, NOW + timedelta(seconds=2), wanted=5)
    # then these two seconds count
    assert granted == 3


def test_what_comes_back_loses_what_the_bucket_may_have_gained_meanwhile() -> None:
    empty = Bucket(0, 50, 0.25, NOW)
    at_once, _ = empty.leased(HOURLY, NOW, 0, returned=10, returned_from=NOW)
    assert at_once.tokens == 10
    later, _ = empty.leased(HOURLY, NOW, 0, returned=10, returned_from=NOW - timedelta(seconds=20))
    assert later.tokens == pytest.approx(5)
    too_late, _ = empty.leased(HOURLY, NOW, 0, returned=10, returned_from=NOW - timedelta(hours=1))
    assert too_late.tokens == 0


def test_what_comes_back_never_fills_a_bucket_above_its_capacity() -> None:
    bucket, _ = Bucket(49, 50, 0.25, NOW).leased(HOURLY, NOW, 0, returned=10, returned_from=NOW)
    assert bucket.tokens == 50


def test_a_changed_limit_counts_the_careful_way() -> None:
    # given a bucket of 1,000 an hour, untouched for eight seconds
    bucket, later = Bucket(10, 50, 0.25, NOW), NOW + timedelta(seconds=8)
    # when the limit is raised: the seconds before count at the old rate
    raised, _ = bucket.leased(Limit(10_000, 3600.0), later, 0)
    assert (raised.tokens, raised.capacity) == (12, 500)
    # when it is lowered: the new burst is what there is at most
    lowered, _ = bucket.leased(Limit(20, 3600.0), later, 0)
    assert lowered.tokens == lowered.capacity == 1
