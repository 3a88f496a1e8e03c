"""How a file is written, told from its first bytes or as somebody says: encoding, format, delimiter, columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from mailworkers.errors import LeadsError
from mailworkers.leads import columns, delimiter, encoding
from mailworkers.leads.fields import CsvReader, JsonReader, Reader
from mailworkers.leads.ledger import Wanted
from mailworkers.leads.rows import CsvRows, JsonRows, Malformed, Rows, each

CSV: Final = "csv"
JSON_LINES: Final = "jsonl"
FORMATS: Final = (CSV, JSON_LINES)
_JSON_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Form:
    """How to read it. `header_lines` at its beginning are no rows; `notes` are for its owner."""

    encoding: str
    rows: Rows
    reader: Reader
    header_lines: int
    notes: tuple[str, ...]


def told(head: bytes, name: str, wanted: Wanted) -> Form:
    """Find out.

    Args:
        head: the first bytes.
        name: of the file.
        wanted: what somebody says of it goes before what it looks like.

    Raises:
        LeadsError: it is empty, no text, or no list of contacts.
    """
    notes: tuple[str, ...] = ()
    if wanted.encoding:
        chosen, notes = encoding.asked(head, name, wanted.encoding)
    else:
        chosen = encoding.told(head, name)
        if chosen == encoding.WESTERN:
            notes = (f"read as {chosen}: it is not UTF-8",)
    text = head.decode(chosen, "replace").removeprefix("\ufeff")
    if not text.strip():
        raise LeadsError(f"{name} is empty", "Give a file whose first line holds the columns' titles")
    if (wanted.form or _format(name, text)) == JSON_LINES:
        return Form(chosen, JsonRows(), JsonReader(wanted.mapping), 0, notes)
    return _csv(text, chosen, wanted, notes)


def _format(name: str, text: str) -> str:
    if PurePath(name).suffix.lower() in _JSON_SUFFIXES or text.lstrip().startswith("{"):
        return JSON_LINES
    if text.lstrip().startswith("["):
        raise LeadsError(
            f"{name} is one JSON array", "Write one object a line: jq -c '.[]' FILE | mailworkers leads import -"
        )
    return CSV


def _csv(text: str, chosen: str, wanted: Wanted, notes: tuple[str, ...]) -> Form:
    end = "\n" if "\n" in text else "\r"
    lines = [line + end for line in text.split(end)]
    skipped = 0
    between = delimiter.announced(lines[0])
    if between is not None:
        skipped = 1
    if wanted.delimiter is not None:
        between = delimiter.NAMES.get(wanted.delimiter.lower(), wanted.delimiter)
        if len(between) != 1 or between in '"\r\n':
            raise LeadsError(f"{wanted.delimiter!r} cannot be a delimiter", "Give one character, or the word tab")
    titles = {*columns.EMAIL_TITLES, columns.folded(wanted.mapping.get(columns.EMAIL, ""))} - {""}
    rows = CsvRows(between or delimiter.told(lines[skipped:], titles))
    header, used = _header(rows, lines[skipped:], skipped)
    return Form(chosen, rows, CsvReader(columns.columns(header, wanted.mapping)), skipped + used, notes)


def _header(rows: CsvRows, lines: list[str], skipped: int) -> tuple[list[str], int]:
    rows.begin(lines, skipped + 1, last=True)
    for _, row in each(rows):
        if isinstance(row, Malformed):
            raise LeadsError(f"the header cannot be read: {row.reason}", "Check the file's first line, and --delimiter")
        return row, rows.used
    raise LeadsError("there is no header", "Put the columns' titles into the first line")
