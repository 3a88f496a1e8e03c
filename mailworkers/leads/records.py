"""Leads, lists and imports, to look at; and a lead to forget."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mailworkers.db.pool import Gateway
from mailworkers.errors import LeadsError
from mailworkers.leads.address import NotAnAddress, normalized
from mailworkers.leads.chunk import Reject

LOOKED_AT: Final = 10_000  # imports, newest first, for those of one workspace
REJECTS_AT_A_TIME: Final = 5000
SILENT_SECONDS: Final = 30.0  # a chunk takes milliseconds: an import without one for so long has been killed


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One import. `status` is running, interrupted or finished; `bytes_total` is None where nobody knew it."""

    import_id: int
    workspace_id: str
    list: str | None
    source: str
    status: str
    on_existing: str
    rows: int
    accepted: int
    updated: int
    kept: int
    duplicates: int
    refused: int
    last_line: int
    bytes_read: int
    bytes_total: int | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead, with the names of the lists that it is on."""

    lead_id: int
    workspace_id: str
    email: str
    name: str | None
    status: str
    data: dict[str, Any]
    lists: tuple[str, ...]
    import_id: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ListLine:
    """One list, and how many leads are on it."""

    list_id: int
    name: str
    leads: int
    created_at: datetime


async def list_imports(database: Gateway, workspace: str | None, limit: int) -> list[ImportLine]:
    """The newest imports, of one workspace or of all. Raises as every call of a gateway."""
    return [_import(row) for row in await database.fetch("leads/imports", workspace, LOOKED_AT, limit)]


async def read_import(database: Gateway, import_id: int) -> ImportLine:
    """One import, as it is now.

    Raises:
        LeadsError: there is none of this number.
    """
    row = await database.fetchrow("leads/import", import_id)
    if row is None:
        raise LeadsError(f"there is no import {import_id}", "See `mailworkers leads imports`")
    return _import(row)


async def rejects(database: Gateway, import_id: int) -> AsyncIterator[Reject]:
    """The rows that an import refused, in the file's order. Raises as every call of a gateway."""
    line = 0
    while rows := await database.fetch("leads/rejects", import_id, line, REJECTS_AT_A_TIME):
        for row in rows:
            yield Reject(row["line"], row["email"], row["reason"])
        line = rows[-1]["line"]


async def read_lead(database: Gateway, email: str, workspace: str) -> Lead | None:
    """A lead by its address, in any spelling.

    Raises:
        LeadsError: that is no address.
    """
    row = await database.fetchrow("leads/show", _address(email), workspace)
    if row is None:
        return None
    given = dict(row)
    lists = tuple(given.pop("lists"))
    return Lead(lead_id=given.pop("id"), data=json.loads(given.pop("data")), lists=lists, **given)


async def list_lists(database: Gateway, workspace: str) -> list[ListLine]:
    """A workspace's lists, by name."""
    return [ListLine(**row) for row in await database.fetch("leads/lists", workspace)]


async def remove_lead(database: Gateway, email: str, workspace: str) -> bool:
    """Forget a lead, on every list; whether there was one. Its campaigns' mails that wait are suppressed. Raises as `read_lead`."""
    return await database.fetchval("leads/remove", _address(email), workspace) is not None


def _address(email: str) -> str:
    try:
        return normalized(email)
    except NotAnAddress as problem:
        raise LeadsError(f"{email!r} is no address: {problem}") from None


def _import(row: Any) -> ImportLine:
    silent = (datetime.now(UTC) - row["updated_at"]).total_seconds() > SILENT_SECONDS
    status = "interrupted" if row["status"] == "running" and silent else row["status"]
    names = [name for name in ImportLine.__slots__ if name not in ("import_id", "status")]
    return ImportLine(import_id=row["id"], status=status, **{name: row[name] for name in names})
