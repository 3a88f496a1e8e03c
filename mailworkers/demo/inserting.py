"""Inserting a letter for each lead, as any application would: plain SQL on a connection of its own, as mailworkers_app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import asyncpg

from mailworkers.db.faults import as_ours
from mailworkers.db.pool import FAULTS
from mailworkers.db.queries import Queries
from mailworkers.demo.leads import Lead
from mailworkers.demo.letter import LetterTemplate
from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import wire_address
from mailworkers.queue.insert import reason

ROLE = "mailworkers_app"
ROWS_A_COMMIT = 100  # a commit waits for the disk; so many rows share one
REFUSALS = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
STATEMENT_SECONDS = 30.0

Row = tuple[str, ...]


@dataclass(slots=True)
class Inserted:
    """What the database said so far: whom it will have written to, and why not to the others."""

    accepted: list[Lead] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # reason by the lead's key


async def insert_letters(
    dsn: str, leads: Sequence[Lead], template: LetterTemplate, into: Inserted, changed: Callable[[], None]
) -> None:
    """Render and insert the letters; refused rows are noted with their reason and keep none of the others back.

    Args:
        dsn: the database; its user must be able to become `mailworkers_app`.
        leads: each address once.
        template: the letter.
        into: filled as it goes on.
        changed: called after every commit.

    Raises:
        DatabaseUnavailable, DatabaseRefused: the database failed otherwise than by refusing a row.
    """
    statement = Queries()["demo/insert"]
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=STATEMENT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={"role": ROLE, "application_name": "mailworkers demo: the application"},
        )
        try:
            for batch in _batches(leads, ROWS_A_COMMIT):
                rows = [(lead, _row(lead, template)) for lead in batch]
                await _insert(connection, statement, rows, into)
                changed()
                await asyncio.sleep(0)
        finally:
            connection.terminate()
    except FAULTS as fault:
        raise as_ours(fault, "inserting the letters") from fault


async def _insert(connection: Any, statement: str, rows: list[tuple[Lead, Row]], into: Inserted) -> None:
    """One commit: what looks good in one statement, what looks doubtful row by row. The database judges all of it: where
    it refuses one of the first, they go row by row too, so that no other is refused with it."""
    good = [row for row in rows if _looks_good(row[0])]
    doubtful = [row for row in rows if not _looks_good(row[0])]
    accepted: list[Lead] = []
    async with connection.transaction():
        try:
            accepted += await _try(connection, statement, good)
        except REFUSALS:
            doubtful = rows
        for row in doubtful:
            try:
                accepted += await _try(connection, statement, [row])
            except REFUSALS as refusal:
                into.refused[row[0].key] = reason(refusal)
    into.accepted += accepted


async def _try(connection: Any, statement: str, rows: list[tuple[Lead, Row]]) -> list[Lead]:
    """Insert all rows or, raising one of `REFUSALS`, none of them."""
    if rows:
        async with connection.transaction():  # within another one: a savepoint
            await connection.execute(statement, *map(list, zip(*(row for _, row in rows), strict=True)))
    return [lead for lead, _ in rows]


def _looks_good(lead: Lead) -> bool:
    try:
        wire_address(lead.email, "to_email")
    except ComposeError:
        return False
    return True


def _row(lead: Lead, template: LetterTemplate) -> Row:
    letter = template.render(lead)
    headers = json.dumps({"List-Unsubscribe": f"<{letter.unsubscribe_url}>"})
    return (
        lead.email,
        lead.name,
        template.sender_email,
        template.sender_name,
        letter.subject,
        letter.text,
        letter.html,
        headers,
    )


def _batches(leads: Sequence[Lead], size: int) -> Iterator[list[Lead]]:
    rest = iter(leads)
    while batch := list(islice(rest, size)):
        yield batch
