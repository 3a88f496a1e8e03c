"""`mailworkers warmup`: schedules, and warm-ups from their start to their end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Sql
from tests.support.warm_ups import NOON_ZONE

START = ("warmup", "start", "news.example", "--schedule", "mine", "--time-zone", NOON_ZONE)


@pytest.fixture
def mine(on_database: Command, tmp_path: Path) -> Command:
    """A command line with a schedule of one's own on its database."""
    path = tmp_path / "mine.csv"
    path.write_text("day,group,quota\n1,google,20\n1,*,50\n3,*,100\n")
    ended = on_database("warmup", "define", "mine", str(path), "--title", "Ours", "--source", "agreed")
    assert (ended.code, ended.out) == (0, "Schedule mine has 3 days.\n")
    return on_database


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_schedule_is_shown_day_by_day(mine: Command) -> None:
    assert lines(mine("warmup", "show", "mine").out)[-4:] == [
        ["day", "google", "all", "others"], ["1", "20", "50"], ["2", "20", "50"], ["3", "20", "100"],
    ]  # fmt: skip
    assert mine("warmup", "show", "mine", "--json").json == {
        "name": "mine", "title": "Ours", "source": "agreed", "shipped": False,
        "days": [
            {"day": 1, "google": 20, "*": 50}, {"day": 2, "google": 20, "*": 50}, {"day": 3, "google": 20, "*": 100},
        ],
    }  # fmt: skip


def test_ones_own_schedules_stand_before_those_that_are_shipped(mine: Command) -> None:
    names = [line[0] for line in lines(mine("warmup", "schedules").out)]
    assert names[:2] == ["schedule", "mine"]
    assert "braze-moderate" in names
    assert mine("warmup", "schedules", "--json").json[0]["first_day"] == 70


def test_a_schedule_comes_from_standard_input(on_database: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("day,quota\n1,5\n"))
    assert on_database("warmup", "define", "small", "-", "--json").json == {"name": "small", "days": 1}


def test_from_start_to_end(mine: Command, sql: Sql) -> None:
    # given a warm-up that is started
    started = mine(*START, "--refusals", "3", "--of-at-least", "20", "--hold-all")
    assert started.code == 0, started.err
    assert [line[:8] for line in lines(started.out)[1:]] == [
        ["news.example", "running", "1", "of", "3", "all", "others", "50"],
        ["news.example", "running", "1", "of", "3", "google", "20", "0"],
    ]
    assert sql("SELECT hold_all FROM mailworkers.warmups")
    # when it is paused, then everybody is told why
    assert mine("warmup", "pause", "News.Example", "--why", "not yet").code == 0
    assert "! news.example: not yet" in mine("warmup", "status").out
    assert "not yet" in mine("status").out
    # when it is resumed
    assert "running" in mine("warmup", "resume", "news.example").out
    # then it stops only where somebody means it
    refused = mine("warmup", "stop", "news.example")
    assert refused.code == 65
    assert "stopping lifts the limits of news.example: nothing was changed" in refused.err
    assert mine("warmup", "stop", "news.example", "--yes", "--why", "warm").code == 0
    assert mine("warmup", "status").out == "No sender is being warmed up.\n"
    (line,) = mine("warmup", "list", "--json").json
    assert (line["status"], line["why"], line["refusals_percent"], line["refusals_least"]) == ("stopped", "warm", 3, 20)


def test_it_may_begin_later(mine: Command) -> None:
    ended = mine(*START, "--on", "2099-01-01", "--json")
    assert {quota["quota"] for quota in ended.json["quotas"]} == {0}
    assert all(quota["day"] < 0 for quota in ended.json["quotas"])


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("show", "nothing"), 65, "there is no warm-up schedule 'nothing'. Name one of mine, braze-aggressive"),
        (("define", "mine", "/nowhere.csv"), 65, "cannot read /nowhere.csv: No such file"),
        (("define", "braze-moderate", "{csv}"), 65, "schedule 'braze-moderate' is shipped and cannot be changed"),
        (("define", "a b", "{csv}"), 65, "name: 1 to 100 letters, digits"),
        (("start", "news", "-s", "mine"), 65, "'news' is neither an address nor a domain"),
        (("start", "news.example", "-s", "none"), 65, "there is no warm-up schedule 'none'. There are: braze-"),
        (("start", "news.example", "-s", "mine", "--time-zone", "Nowhere"), 65, "there is no time zone 'Nowhere'"),
        (("start", "news.example"), 2, "--schedule"),
        (("pause", "news.example"), 65, "news.example is not being warmed up"),
        (("status", "news.example"), 65, "news.example is not being warmed up. See `mailworkers warmup list`"),
    ],
)
def test_what_cannot_be_done_says_why(
    mine: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, why: str
) -> None:
    (tmp_path / "a.csv").write_text("day,quota\n1,5\n")
    ended = mine("warmup", *(one.replace("{csv}", str(tmp_path / "a.csv")) for one in arguments))
    assert (ended.code, why in " ".join(ended.err.split())) == (code, True), ended.err
