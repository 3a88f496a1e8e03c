"""What of a row is the address, what the name, and what the merge variables, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from operator import itemgetter
from typing import Any, Final, Protocol

from mailworkers.errors import LeadsError
from mailworkers.leads import columns
from mailworkers.leads.columns import Columns

LONGEST_NAME: Final = 1000  # characters, as of a job's to_name
MOST_KEY_SETS: Final = 1000  # exporters leave out empty keys, which gives many sets of them
LARGEST_DATA: Final = 256 * 1024  # characters of JSON, so that a job's limit of 1 MB holds for any of them

BETWEEN: Final = "|"  # stands between names that are looked at together; it is in hardly any, and harmless there
_LOOSE: Final = ("  ", f"{BETWEEN} ", f" {BETWEEN}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ZERO = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

NO_TEXT: Final = "it holds what is no text in the file's encoding; name the right one with --encoding"

# Address as written; name, or None where the file has none for this row; data as JSON.
Fields = tuple[str, str | None, str]
Content = tuple[str | None, str]


class UnfitRow(ValueError):
    """`str()` of it is the reason, a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Many:
    """Of many rows: addresses as written; and for each, name and data as in `Fields`."""

    written: Sequence[str]
    contents: list[Content]


class Reader(Protocol):
    """Takes a row apart. Raises UnfitRow."""

    def __call__(self, row: Any) -> Fields: ...

    def many(self, rows: list[Any]) -> Many | None:
        """All of them at once, at a fraction of the price; None where one of them is to be taken apart by itself."""

    def raw_email(self, row: Any) -> str:
        """What stands where the address should, of a row that was refused."""


class CsvReader:
    """Rows whose fields stand where the header says."""

    def __init__(self, found: Columns) -> None:
        self._email = found.email
        self._name = found.names[0] if len(found.names) == 1 else None
        self._names = found.names
        self._width = found.width
        self._places = tuple(place for _, place in found.variables)
        self._pick = _picker(self._places)
        self._template = "{" + ",".join(f"{quoted(name).replace('%', '%%')}:%s" for name, _ in found.variables) + "}"

    def __call__(self, row: list[str]) -> Fields:
        if len(row) != self._width:
            self._fit(row)
        if self._name is not None:
            name: str | None = one_line(row[self._name])
        else:
            name = one_line(" ".join(row[place] for place in self._names)) if self._names else None
        return row[self._email], name, checked(self._template % tuple(map(quoted, self._pick(row))))

    def many(self, rows: list[list[str]]) -> Many | None:
        if {*map(len, rows)} != {self._width}:
            return None
        columns = list(zip(*rows, strict=True))
        names = self._many_names(columns, len(rows))
        data = self._many_data(columns, len(rows))
        if names is None or data is None:
            return None
        return Many(columns[self._email], list(zip(names, data, strict=True)))

    def _many_names(self, columns: list[tuple[str, ...]], count: int) -> Sequence[str | None] | None:
        if not self._names:
            return (None,) * count
        names: Sequence[str] = columns[self._names[0]]
        if len(self._names) > 1:
            names = list(map(" ".join, zip(*(columns[place] for place in self._names), strict=True)))
        together = f"{BETWEEN}{BETWEEN.join(names)}{BETWEEN}"
        if (
            together.isprintable()
            and not any(blanks in together for blanks in _LOOSE)
            and len(max(names, key=len)) <= LONGEST_NAME
        ):
            return names
        try:
            return list(map(one_line, names))
        except UnfitRow:
            return None

    def _many_data(self, columns: list[tuple[str, ...]], count: int) -> list[str] | None:
        if not self._places:
            return [self._template] * count
        fields = [map(quoted, columns[place]) for place in self._places]
        data = list(map(self._template.__mod__, zip(*fields, strict=True)))
        try:
            checked("".join(data))
        except UnfitRow:
            return None
        return data

    def raw_email(self, row: list[str]) -> str:
        return row[self._email] if self._email < len(row) else ""

    def _fit(self, row: list[str]) -> None:
        if any(field.strip() for field in row[self._width :]):
            raise UnfitRow(
                f"it has {len(row)} fields, the header {self._width}; one that holds the delimiter needs quotes"
            )
        row.extend([""] * (self._width - len(row)))


class JsonReader:
    """Objects whose keys are the columns' titles. A value keeps its type."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = dict(mapping)
        self._known: dict[tuple[str, ...], Columns] = {}

    def __call__(self, row: dict[str, Any]) -> Fields:
        found = self._columns(row)
        values = list(row.values())
        email = values[found.email]
        if not isinstance(email, str):
            raise UnfitRow("its address is no text")
        names = [values[place] for place in found.names]
        if not all(isinstance(part, str | None) for part in names):
            raise UnfitRow("its name is no text")
        name = one_line(" ".join(part or "" for part in names)) if names else None
        data = {title: values[place] for title, place in found.variables}
        return email, name, checked(json.dumps(data, ensure_ascii=False, separators=(",", ":")))

    def many(self, rows: list[dict[str, Any]]) -> Many | None:
        return None

    def raw_email(self, row: dict[str, Any]) -> str:
        try:
            value = list(row.values())[self._columns(row).email]
        except UnfitRow:
            return ""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _columns(self, row: dict[str, Any]) -> Columns:
        keys = tuple(row)
        found = self._known.get(keys)
        if found is None:
            titles = {columns.folded(key) for key in keys}
            present = {
                field: title
                for field, title in self._mapping.items()
                if title in keys or columns.folded(title) in titles
            }
            try:
                found = columns.columns(keys, present)
            except LeadsError as problem:
                raise UnfitRow(problem.message.replace("the header is", "the keys are")) from None
            if len(self._known) >= MOST_KEY_SETS:
                self._known.clear()
            self._known[keys] = found
        return found


def one_line(text: str) -> str:
    """A name as it can stand in a header: on one line, without control characters, single blanks.

    Raises:
        UnfitRow: it is too long, or no text.
    """
    line = text
    if not text.isprintable():
        if _SURROGATE.search(text):
            raise UnfitRow(NO_TEXT)
        line = " ".join(_CONTROL.sub("", " ".join(text.split())).split())
    elif text[:1] == " " or text[-1:] == " " or "  " in text:
        line = " ".join(text.split())
    if len(line) > LONGEST_NAME:
        raise UnfitRow(f"its name has more than {LONGEST_NAME:,} characters")
    return line


def checked(data: str) -> str:
    """The same JSON, if PostgreSQL takes it.

    Raises:
        UnfitRow: it is too large, or holds what no text in PostgreSQL can hold.
    """
    if len(data) > LARGEST_DATA:
        raise UnfitRow(f"its columns have more than {LARGEST_DATA:,} characters together")
    if "\\u0000" in data and _ZERO.search(data):
        raise UnfitRow("it holds a zero byte")
    try:
        data.encode()
    except UnicodeEncodeError:
        raise UnfitRow(NO_TEXT) from None
    return data


def _picker(places: Sequence[int]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    if places:
        only = places[0]
        return lambda row: (row[only],)
    return lambda _row: ()
