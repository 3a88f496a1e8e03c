"""Schedules: which quota holds on which day, and files that are none."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.errors import WarmUpError
from mailworkers.warming.schedule import Schedule, Step, as_json, parse

SCHEDULE = Schedule((Step(1, "*", 50), Step(3, "*", 100), Step(1, "google", 20), Step(2, "google", 40)))


@pytest.mark.parametrize(
    ("day", "group", "quota"),
    [
        (0, "*", 0), (1, "*", 50), (2, "*", 50), (3, "*", 100), (4, "*", None),
        (1, "google", 20), (3, "google", 40), (4, "google", None), (1, "yahoo", 50), (1, "", 50),
    ],
)  # fmt: skip
def test_a_quota_holds_until_the_next(day: int, group: str, quota: int | None) -> None:
    assert SCHEDULE.quota(day, group) == quota


def test_it_ends_with_its_last_day_whatever_group_that_is_of() -> None:
    assert SCHEDULE.days == 3
    assert SCHEDULE.groups == ["google", "*"]


@given(st.dictionaries(st.integers(2, 40), st.integers(0, 10**6)), st.integers(0, 10**6), st.integers(-3, 45))
def test_a_day_has_the_quota_of_its_latest_step(later: dict[int, int], first: int, day: int) -> None:
    quotas = {1: first, **later}
    schedule = Schedule(tuple(Step(n, "*", quota) for n, quota in quotas.items()))
    expected = None if day > max(quotas) else next((quotas[n] for n in range(day, 0, -1) if n in quotas), 0)
    assert schedule.quota(day, "anything") == expected


def test_a_file_is_read_with_columns_in_any_order_and_case() -> None:
    text = "\ufeffQuota,Group,DAY\n20, google ,1\n\n50,*,1\n60,,2\n"
    steps = parse(io.StringIO(text), "mine.csv")
    assert steps == [Step(1, "google", 20), Step(1, "*", 50), Step(2, "*", 60)]
    assert as_json(steps)[0] == {"day": 1, "group": "google", "quota": 20}


def test_groups_may_be_left_out() -> None:
    assert parse(io.StringIO("day,quota\n1,50\n"), "mine.csv") == [Step(1, "*", 50)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs a first line with its columns"),
        ("1,50\n2,100\n", "needs a first line with its columns"),
        ("day,quota,quota\n", "needs a first line with its columns"),
        ("day,quota\n", "has no days"),
        ("day,quota\n1\n", "mine.csv, row 2 has 1 columns, not 2"),
        ("day,quota\n1,50\n2,many\n", "mine.csv, row 3: quota must be a whole number between 0 and"),
        ("day,quota\n0,50\n", "row 2: day must be a whole number between 1 and 1000, not '0'"),
        ("day,quota\n1,-5\n", "quota must be a whole number"),
        ("day,quota\n1,²\n", "quota must be a whole number"),
        ("day,quota\n1," + "9" * 5000 + "\n", "quota must be a whole number"),
        ('day,quota\n1,"50\n', "cannot be read as CSV"),
    ],
)
def test_what_is_no_schedule_says_why(text: str, why: str) -> None:
    with pytest.raises(WarmUpError) as refusal:
        parse(io.StringIO(text), "mine.csv")
    assert why in refusal.value.message
