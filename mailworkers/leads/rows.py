"""Lines become rows: CSV (RFC 4180, strictly) and JSON Lines. A row that cannot be read costs only itself."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

LONGEST_CSV_ROW: Final = 128 * 1024  # characters of a row over several lines; a quote that nobody closes ends there


@dataclass(frozen=True, slots=True)
class Malformed:
    """No row: what the line begins with, and what is wrong with it."""

    text: str
    reason: str


Row = tuple[int, Any]  # the number of the line where it begins; a list of fields, an object's dict, or Malformed


class Rows(Protocol):
    """Reads rows from one block of lines after the other."""

    @property
    def used(self) -> int:
        """How many lines of the block the rows so far have used."""

    @property
    def rest(self) -> list[str]:
        """Lines at the block's end that are the beginning of a row; the next block must begin with them."""

    def read(self, lines: list[str], first: int, *, last: bool) -> Iterator[Row]:
        """The rows of a block. `first` is the number of its first line, `last` says that no more follow."""


class CsvRows:
    """CSV with this delimiter. A wholly empty line is no row."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._reader: Any = None
        self._before = 0
        self.rest: list[str] = []

    @property
    def used(self) -> int:
        return self._before + (self._reader.line_num if self._reader is not None else 0)

    def read(self, lines: list[str], first: int, *, last: bool) -> Iterator[Row]:
        self.rest = []
        self._before = 0
        while self._before < len(lines):
            reader = csv.reader(lines[self._before :], delimiter=self._delimiter, strict=True)
            self._reader = reader
            begins = 0
            try:
                for fields in reader:
                    if fields:
                        yield first + self._before + begins, fields
                    begins = reader.line_num
                self._before, self._reader = len(lines), None
            except csv.Error as problem:
                ran_out = self._before + reader.line_num == len(lines)
                self._before, self._reader = self._before + begins, None
                if ran_out and not last and sum(map(len, lines[self._before :])) <= LONGEST_CSV_ROW:
                    self.rest = lines[self._before :]
                    return
                self._before += 1
                yield first + self._before - 1, Malformed(lines[self._before - 1], _why(problem))


class JsonRows:
    """One JSON object a line. An empty line is no row."""

    def __init__(self) -> None:
        self.used = 0
        self.rest: list[str] = []

    def read(self, lines: list[str], first: int, *, last: bool) -> Iterator[Row]:
        self.used = 0
        for number, line in enumerate(lines, first):
            self.used += 1
            if not line.strip():
                continue
            try:
                value = json.loads(line, parse_constant=_no_json)
            except (ValueError, RecursionError) as problem:
                yield number, Malformed(line, f"the line is not JSON: {problem}")
                continue
            if isinstance(value, dict):
                yield number, value
            else:
                yield number, Malformed(line, "the line is JSON, but no object")


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _why(problem: csv.Error) -> str:
    said = str(problem)
    if "unexpected end" in said or "field limit" in said:
        return "a quote is opened and never closed"
    if "expected after" in said:
        return "text follows a closing quote; a quote inside a quoted field is written twice"
    return f"the line is not CSV: {said}"
