"""Lines become rows: CSV (RFC 4180, strictly) and JSON Lines. A row that cannot be read costs only itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

from mailworkers import strict_json

LONGEST_CSV_ROW: Final = 128 * 1024  # characters of a row over several lines; a quote that nobody closes ends there


@dataclass(frozen=True, slots=True)
class Malformed:
    """No row: what the line begins with, and what is wrong with it."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Portion:
    """Some rows: lists of fields, objects' dicts, or Malformed; and the number of the line where each begins."""

    lines: Sequence[int]
    rows: list[Any]


Row = tuple[int, Any]
NONE_LEFT: Final = Portion((), [])


class Rows(Protocol):
    """Reads rows from one block of lines after the other."""

    @property
    def used(self) -> int:
        """How many lines of the block the rows so far have used."""

    @property
    def rest(self) -> list[str]:
        """Lines at the block's end that are the beginning of a row; the next block must begin with them."""

    def begin(self, lines: list[str], first: int, *, last: bool) -> None:
        """A block. `first` is the number of its first line, `last` says that no more follow."""

    def take(self, most: int) -> Portion:
        """The block's next rows; `NONE_LEFT` where there are none."""


def each(rows: Rows) -> Iterator[Row]:
    """The block's rows one by one, with the line where each begins."""
    while (portion := rows.take(1)) is not NONE_LEFT:
        yield from zip(portion.lines, portion.rows, strict=True)


class CsvRows:
    """CSV with this delimiter. A wholly empty line is no row."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._lines: list[str] = []
        self._first = 1
        self._last = True
        self._reader: Any = None
        self._before = 0  # lines that were used when the reader was made
        self.rest: list[str] = []

    @property
    def used(self) -> int:
        return self._before + (self._reader.line_num if self._reader is not None else 0)

    def begin(self, lines: list[str], first: int, *, last: bool) -> None:
        self._lines, self._first, self._last = lines, first, last
        self._reader, self._before, self.rest = None, 0, []

    def take(self, most: int) -> Portion:
        while (begins := self.used) < len(self._lines) and not self.rest:
            try:
                rows = list(islice(self._reading(begins), most))
            except csv.Error:
                portion = self._one_by_one(begins, most)
            else:
                portion = Portion(self._numbers(begins, rows), rows)
            if not all(portion.rows):
                kept = [(line, row) for line, row in zip(portion.lines, portion.rows, strict=True) if row]
                portion = Portion([line for line, _ in kept], [row for _, row in kept])
            if portion.rows:
                return portion
        return NONE_LEFT

    def _reading(self, begins: int) -> Any:
        if self._reader is None:
            self._before = begins
            self._reader = csv.reader(self._lines[begins:], delimiter=self._delimiter, strict=True)
        return self._reader

    def _numbers(self, begins: int, rows: list[list[str]]) -> Sequence[int]:
        """Where each begins. A field holds the line breaks of its row as they are, and nothing else spans lines."""
        first, used = self._first + begins, self.used - begins
        if used == len(rows):
            return range(first, first + used)
        end = self._lines[begins][-1]
        numbers = []
        for row in rows:
            numbers.append(first)
            first += 1 + "".join(row).count(end)
        return numbers

    def _one_by_one(self, begins: int, most: int) -> Portion:
        """The rows before one that cannot be read; or, where it is the first, that one."""
        self._reader = None
        reader = self._reading(begins)
        numbers: list[int] = []
        rows: list[Any] = []
        used = 0
        try:
            for row in islice(reader, most):
                numbers.append(self._first + begins + used)
                rows.append(row)
                used = reader.line_num
        except csv.Error as problem:
            ran_out = begins + reader.line_num == len(self._lines)
            self._reader, self._before = None, begins + used
            if not rows:
                return self._give_up(begins, ran_out, problem)
        return Portion(numbers, rows)

    def _give_up(self, begins: int, ran_out: bool, problem: csv.Error) -> Portion:
        if ran_out and not self._last and sum(map(len, self._lines[begins:])) <= LONGEST_CSV_ROW:
            self.rest = self._lines[begins:]
            return NONE_LEFT
        self._before = begins + 1
        return Portion((self._first + begins,), [Malformed(self._lines[begins], _why(problem))])


class JsonRows:
    """One JSON object a line. An empty line is no row."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._first = 1
        self.used = 0
        self.rest: list[str] = []

    def begin(self, lines: list[str], first: int, *, last: bool) -> None:
        self._lines, self._first, self.used = lines, first, 0

    def take(self, most: int) -> Portion:
        numbers: list[int] = []
        rows: list[Any] = []
        while len(rows) < most and self.used < len(self._lines):
            line = self._lines[self.used]
            self.used += 1
            if line.strip():
                numbers.append(self._first + self.used - 1)
                rows.append(_object(line))
        return Portion(numbers, rows) if rows else NONE_LEFT


def _object(line: str) -> dict[str, Any] | Malformed:
    try:
        value = strict_json.loads(line)
    except (ValueError, RecursionError) as problem:
        return Malformed(line, f"the line is not JSON: {problem}")
    if not isinstance(value, dict):
        return Malformed(line, "the line is JSON, but no object")
    return value


def _why(problem: csv.Error) -> str:
    said = str(problem)
    if "unexpected end" in said or "field limit" in said:
        return "a quote is opened and never closed"
    if "expected after" in said:
        return "text follows a closing quote; a quote inside a quoted field is written twice"
    return f"the line is not CSV: {said}"
