"""docs/warm-up.md is true: its commands and statements do what they say, and its figures are those in force."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mailworkers.daemon.warming import HELD_SECONDS
from mailworkers.warming.day import HOLD_SECONDS, LEASE_SHARE, MOST_LEASED
from mailworkers.warming.ledger import JUDGED_DAYS
from tests.cli.conftest import Command, command, on_database  # noqa: F401 -- fixtures

PAGE = (Path(__file__).parents[1] / "docs" / "warm-up.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def test_its_commands_run_one_after_the_other(
    on_database: Command,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ramp.csv").write_text(blocks("csv")[0])
    lines = [line for text in blocks("sh") for line in text.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "mailworkers"
        ended = on_database(*arguments)
        assert ended.code == 0, f"{line}: {ended.err}"


@pytest.mark.parametrize("table", blocks("csv"))
def test_its_tables_are_schedules(on_database: Command, tmp_path: Path, table: str) -> None:  # noqa: F811
    (tmp_path / "ramp.csv").write_text(table)
    ended = on_database("warmup", "define", "mine", str(tmp_path / "ramp.csv"))
    assert ended.code == 0, ended.err


async def test_its_statements_are_ones_that_an_application_may_run(app_connection: Any) -> None:
    for statements in blocks("sql"):
        await app_connection.execute(statements)


async def test_it_names_all_that_is_shipped_with_its_source_and_length(app_connection: Any) -> None:
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \| .*, `([^`]*)` \|$", PAGE, re.MULTILINE)
    said = {}
    for names, days, source in rows:
        for name, length in zip(re.findall(r"`([^`]+)`", names), days.split(" · "), strict=True):
            said[name] = (int(length), source)
    await app_connection.execute("RESET ROLE")
    shipped = await app_connection.fetch(
        "SELECT name, source, (SELECT max(day) FROM mailworkers.warmup_quotas WHERE schedule = name) AS days"
        " FROM mailworkers.warmup_schedules WHERE shipped"
    )
    assert {row["name"]: (row["days"], row["source"].rpartition(" ")[2]) for row in shipped} == said


def test_its_figures_are_those_in_force() -> None:
    assert (LEASE_SHARE, MOST_LEASED, HOLD_SECONDS, JUDGED_DAYS, HELD_SECONDS) == (50, 200, 5.0, 3, 600.0)
    for words in ("a fiftieth", "at most 200", "within five seconds", "within three days", "within ten minutes"):
        assert words in PAGE
