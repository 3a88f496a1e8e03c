"""What stands between the fields of a CSV file, told from its first lines."""

from __future__ import annotations

import csv
from collections.abc import Collection
from typing import Final

from mailworkers.leads.columns import folded

CANDIDATES: Final = (",", ";", "\t", "|", ":", "^")
LINES_LOOKED_AT: Final = 50
NAMES: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def told(lines: list[str], titles: Collection[str]) -> str:
    """The candidate with which the header names a column of addresses; of several, the one that gives the most rows as many
    fields as the header has; of these, the one with more fields.

    Args:
        lines: the first ones of the file, the header among them.
        titles: what a column of addresses may be called, folded.
    """
    best, most = CANDIDATES[0], (False, 0, 0)
    for candidate in CANDIDATES:
        rows = _rows(lines[:LINES_LOOKED_AT], candidate)
        header = rows[0] if rows else []
        # A header gives the measure: a comma in somebody's name must not make a file one of commas.
        fitting = sum(len(row) == len(header) for row in rows)
        score = (any(folded(title) in titles for title in header), fitting, len(header))
        if len(header) > 1 and score > most:
            best, most = candidate, score
    return best


def announced(line: str) -> str | None:
    """The delimiter of a first line such as `sep=;`, which Excel reads and writes; None where it is another line."""
    text = line.strip("\ufeff\r\n")
    return text[4] if len(text) == 5 and text[:4].lower() == "sep=" else None


def _rows(lines: list[str], candidate: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines, delimiter=candidate) if row]
    except csv.Error:
        return []
