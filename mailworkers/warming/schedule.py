"""Schedules of a warm-up: how many mails on which day, to which destination group; pure. And how one is read from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from mailworkers.errors import WarmUpError
from mailworkers.warming.senders import ALL_OTHERS

TITLES: Final = ({"day", "quota"}, {"day", "group", "quota"})
LONGEST_DAYS: Final = 1000
LARGEST_QUOTA: Final = 10**12 - 1
EXAMPLE: Final = "A first line day,group,quota (group may be left out), then lines such as 1,google,20 and 1,*,50"


@dataclass(frozen=True, slots=True)
class Step:
    """From this day on a group has this quota, until its next step."""

    day: int
    destination_group: str
    quota: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps, each group's in the order of their days, the first on day 1."""

    steps: tuple[Step, ...]

    @property
    def days(self) -> int:
        """Its last day; after it nothing is limited."""
        return max(step.day for step in self.steps)

    @property
    def groups(self) -> list[str]:
        """Those with a quota of their own, by name, then the one of all others."""
        named = {step.destination_group for step in self.steps}
        return [*sorted(named - {ALL_OTHERS}), ALL_OTHERS]

    def quota(self, day: int, destination_group: str) -> int | None:
        """Mails on that day to that group, which may share them with others; 0 before day 1, None after the last day."""
        if day > self.days:
            return None
        group = destination_group if destination_group in self.groups else ALL_OTHERS
        reached = [step for step in self.steps if step.destination_group == group and step.day <= day]
        return max(reached, key=lambda step: step.day).quota if reached else 0


def parse(file: TextIO, name: str) -> list[Step]:
    """Read a schedule's steps.

    Args:
        file: CSV with the columns day, quota and, where quotas are by group, group.
        name: of the file, for messages.

    Raises:
        WarmUpError: it is no such file. What the steps mean together, the database checks.
    """
    try:
        rows = [row for row in csv.reader(file, strict=True) if any(cell.strip() for cell in row)]
    except (csv.Error, UnicodeDecodeError) as problem:
        raise WarmUpError(f"{name} cannot be read as CSV: {problem}", EXAMPLE) from None
    titles = [title.strip().lower().lstrip("\ufeff") for title in rows[0]] if rows else []
    if set(titles) not in TITLES or len(titles) != len(set(titles)):
        raise WarmUpError(f"{name} needs a first line with its columns: day,quota or day,group,quota", EXAMPLE)
    if len(rows) == 1:
        raise WarmUpError(f"{name} has no days", EXAMPLE)
    return [_step(titles, row, f"{name}, row {number}") for number, row in enumerate(rows[1:], start=2)]


def as_json(steps: Iterable[Step]) -> list[dict[str, int | str]]:
    """The steps as the database's `define_warm_up_schedule` takes them."""
    return [{"day": step.day, "group": step.destination_group, "quota": step.quota} for step in steps]


def _step(titles: Sequence[str], row: Sequence[str], where: str) -> Step:
    if len(row) != len(titles):
        raise WarmUpError(f"{where} has {len(row)} columns, not {len(titles)}", EXAMPLE)
    cells = dict(zip(titles, (cell.strip() for cell in row), strict=True))
    return Step(
        _number(cells["day"], f"{where}: day", 1, LONGEST_DAYS),
        cells.get("group") or ALL_OTHERS,
        _number(cells["quota"], f"{where}: quota", 0, LARGEST_QUOTA),
    )


def _number(cell: str, what: str, least: int, most: int) -> int:
    if not (cell.isascii() and cell.isdigit() and least <= int(cell[:15]) <= most):
        raise WarmUpError(f"{what} must be a whole number between {least} and {most}, not {cell!r}", EXAMPLE)
    return int(cell)
