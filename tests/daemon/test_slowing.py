"""The brake for a slow database or machine: what turns it on, how far, and what turns it off."""

from __future__ import annotations

import math

import pytest

from mailworkers.daemon.slowing import CALM_TICKS, LEAST_RATE, PATIENCE, Slowing
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slowing(clock: Clock) -> Slowing:
    made = Slowing(clock)
    seconds(made, 100, claim=0.005)
    return made


def seconds(slowing: Slowing, count: int, *, claim: float, rate: float = 1000.0) -> None:
    for _ in range(count):
        slowing.claims.add(claim)
        slowing.acks.add(0.004)
        slowing.loop.add(0.001)
        slowing.tick(rate)


def test_a_usual_time_holds_nothing_back(slowing: Slowing) -> None:
    assert (slowing.reason, slowing.room(), slowing.wait()) == (None, math.inf, 0.0)


def test_one_slow_second_changes_nothing(slowing: Slowing) -> None:
    seconds(slowing, PATIENCE - 1, claim=9.0)
    seconds(slowing, 1, claim=0.005)
    assert slowing.reason is None


def test_a_slow_database_is_asked_for_less_each_second(slowing: Slowing, clock: Clock) -> None:
    seconds(slowing, PATIENCE, claim=2.0)
    assert slowing.rate == pytest.approx(700)
    assert slowing.reason == "the database takes 2.0 s for a claim, usually 0.0043 s"
    clock.now += 0.05
    assert slowing.room() == 35
    slowing.take(35)
    assert 0 < slowing.wait() < 0.01
    seconds(slowing, 50, claim=2.0)
    assert slowing.rate == LEAST_RATE


def test_it_ends_after_some_calm_and_not_in_between(slowing: Slowing) -> None:
    seconds(slowing, PATIENCE, claim=2.0)
    low = slowing.rate
    seconds(slowing, 20, claim=0.4)  # no longer slow, not yet calm
    assert slowing.rate == low
    seconds(slowing, CALM_TICKS, claim=0.005)
    assert slowing.rate is not None
    assert low is not None
    assert slowing.rate > low
    seconds(slowing, 10, claim=0.005)
    assert slowing.reason is None
    assert slowing.room() == math.inf


def test_what_is_slow_for_long_does_not_become_usual(slowing: Slowing) -> None:
    seconds(slowing, 1000, claim=2.0)
    assert slowing.reason is not None


def test_a_slow_event_loop_says_so(slowing: Slowing) -> None:
    for _ in range(PATIENCE):
        slowing.loop.add(3.0)
        slowing.tick(10.0)
    assert slowing.reason == "the event loop is 3.0 s late, usually 0.00087 s"
