"""Shares: by weight and exactly over time, whatever comes and goes, and nothing more than may be had."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.daemon.shares import Shares


def claims(shares: Shares, workspaces: list[str], jobs: int, rounds: int, most: float = math.inf) -> Counter[str]:
    """What each got of so many claims in a row, all of which were served in full."""
    got: Counter[str] = Counter()
    for _ in range(rounds):
        turn = shares.in_turn(workspaces)
        for workspace, take in zip(turn, shares.split(jobs, turn, [most] * len(turn)), strict=True):
            shares.charge(workspace, take)
            got[workspace] += take
    return got


@pytest.mark.parametrize("jobs", [1, 3, 7, 500])
def test_weights_hold_exactly_over_time(jobs: int) -> None:
    got = claims(Shares({"b": 3.0}), ["a", "b"], jobs, 400)
    assert got["a"] + got["b"] == 400 * jobs
    assert abs(got["b"] - 3 * got["a"]) <= 4


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=2, max_size=8),
    jobs=st.lists(st.integers(1, 600), min_size=1, max_size=30),
)
def test_whatever_the_claims_nobody_is_a_whole_job_off(weights: list[float], jobs: list[int]) -> None:
    of = {f"w{number}": weight for number, weight in enumerate(weights)}
    shares, got = Shares(of), Counter[str]()
    for some in jobs:
        turn = shares.in_turn(list(of))
        takes = shares.split(some, turn, [math.inf] * len(turn))
        assert sum(takes) == some
        for workspace, take in zip(turn, takes, strict=True):
            shares.charge(workspace, take)
            got[workspace] += take
    for workspace, weight in of.items():
        assert abs(got[workspace] - sum(jobs) * weight / math.fsum(weights)) < len(of)


def test_what_one_may_not_have_goes_to_the_others() -> None:
    shares = Shares({})
    turn = shares.in_turn(["a", "b", "c"])
    assert shares.split(30, turn, [2, math.inf, 5]) == [2, 23, 5]
    assert shares.split(30, turn, [2, 3, 5]) == [2, 3, 5]


def test_who_had_no_work_earns_nothing_by_it() -> None:
    shares = Shares({})
    claims(shares, ["a"], 100, 50)
    got = claims(shares, ["a", "b"], 100, 10)
    assert abs(got["a"] - got["b"]) <= 100  # at most the claim that was under way


def test_who_had_little_work_owes_nothing_for_what_it_did_not_get() -> None:
    shares = Shares({})
    for _ in range(10):
        turn = shares.in_turn(["a", "b"])
        for workspace, take in zip(turn, shares.split(100, turn, [math.inf] * 2), strict=True):
            shares.charge(workspace, take)
            if workspace == "b":
                shares.charge(workspace, 1 - take)  # a single one was there
    got = claims(shares, ["a", "b"], 100, 10)
    assert got["b"] >= got["a"]


def test_accounts_of_those_without_work_do_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworkers.daemon.shares.MOST_IDLE_ACCOUNTS", 5)
    shares = Shares({})
    for number in range(100):
        claims(shares, [f"w{number}", f"w{number + 1}"], 10, 2)
    assert len(shares._come) <= 10
