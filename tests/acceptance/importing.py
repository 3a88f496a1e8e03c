"""COPY of a lead list with a letter for each, as an application does it that must cope with bad rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg

from mailworkers.demo.leads import Lead, fold
from mailworkers.demo.letter import LetterTemplate

CHUNK = 100  # rows of one COPY: it is refused as a whole, and a small one is soon done again
COLUMNS = (
    "idempotency_key", "to_email", "to_name", "from_email", "from_name", "subject", "text_body", "html_body", "headers",
)  # fmt: skip
_LINE = re.compile(r"COPY email_jobs, line (\d+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One letter as it was inserted. Its key makes a second letter to the same mailbox a bad row."""

    key: str
    to_email: str
    to_name: str
    from_email: str
    from_name: str
    subject: str
    text: str
    html: str
    headers: str

    def values(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        return (
            self.key, self.to_email, self.to_name, self.from_email, self.from_name, self.subject, self.text, self.html,
            self.headers,
        )  # fmt: skip


@dataclass(slots=True)
class Import:
    """What became of a list. `refused` counts rows by the reason that PostgreSQL gave; `accepted` by recipient."""

    rows: int = 0
    copies: int = 0
    accepted: dict[str, Row] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


def letters(path: Path) -> list[Row]:
    """A letter for each row of a lead list, good or bad."""
    template = LetterTemplate()
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [_row(record, template) for record in csv.DictReader(file)]


def _row(record: dict[str, str], template: LetterTemplate) -> Row:
    email = record["Email"].strip()
    rest = (" ".join(record[name].split()) for name in ("Name", "City", "Plan", "Signed up"))
    lead = Lead(email, *rest)
    letter = template.render(lead)
    return Row(
        key=fold(email) or "none",
        to_email=email,
        to_name=lead.name,
        from_email=template.sender_email,
        from_name=template.sender_name,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        headers=json.dumps({"List-Unsubscribe": f"<{letter.unsubscribe_url}>"}),
    )


async def copy_all(connection: Any, rows: Sequence[Row]) -> Import:
    """COPY all rows; those that are refused are left out, each with its reason."""
    done = Import(rows=len(rows))
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        while chunk and (refused := await _copy(connection, chunk, done)) is not None:
            del chunk[refused]
        done.accepted.update((row.to_email, row) for row in chunk)
    return done


async def _copy(connection: Any, chunk: list[Row], done: Import) -> int | None:
    """Insert a chunk or nothing of it; the place of the first row that was refused, None where none was."""
    done.copies += 1
    try:
        await connection.copy_to_table(
            "email_jobs", schema_name="mailworkers", columns=COLUMNS, format="csv", header=True, source=_as_csv(chunk)
        )
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as refusal:
        done.refused[refusal.constraint_name or str(refusal)] += 1
        return _row_at(chunk, refusal.context or "")
    return None


def _as_csv(rows: Sequence[Row]) -> io.BytesIO:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.values() for row in rows)
    return io.BytesIO(text.getvalue().encode())


def _row_at(chunk: Sequence[Row], context: str) -> int:
    """Which row PostgreSQL means by the line that its error names: the letters have lines of their own."""
    found = _LINE.search(context)
    assert found is not None, f"no line is named: {context}"
    return next(place for place, end in enumerate(_ends(chunk)) if int(found[1]) <= end)


def _ends(chunk: Sequence[Row]) -> Iterator[int]:
    at = 1  # the header
    for row in chunk:
        at += 1 + sum(value.count("\n") for value in row.values())
        yield at
