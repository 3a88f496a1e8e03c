"""What an import has counted so far, so that the same command goes on where it stopped, and counts nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailworkers.db.pool import Database
from mailworkers.errors import LeadsError
from mailworkers.leads.merge import OnExisting, Target
from mailworkers.leads.source import Source

FINGERPRINT_OCTETS = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to import, and how.

    Args:
        path: a file, or `-` for standard input.
        workspace: whose leads they become.
        list_name: the list that they go on; made where there is none.
        on_existing: whether a lead that the workspace had before is updated with what the file has, or kept as it is.
        mapping: from `email`, `name` or a merge variable to the title of its column, over what is found by itself.
        form: `csv` or `jsonl`; told from the content where it is None.
        delimiter: of a CSV file; told from the content where it is None.
        encoding: as Python calls it; told from the content where it is None.
        anew: begin a new import even where an unfinished one of this file could go on.
    """

    path: Path | str
    workspace: str = "default"
    list_name: str | None = None
    on_existing: OnExisting = "update"
    mapping: Mapping[str, str] = field(default_factory=dict)
    form: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """How far an import has come: chunks, lines and rows that are committed, and what became of the rows."""

    import_id: int
    chunks: int
    last_line: int
    digest: bytes | None
    rows: int
    accepted: int
    updated: int
    kept: int
    duplicates: int
    refused: int


async def open_account(database: Database, wanted: Wanted, source: Source, head: bytes) -> tuple[Target, Account]:
    """Go on with an unfinished import of this file in this way, or begin a new one.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    how = (
        wanted.workspace,
        fingerprint(source, head),
        wanted.list_name,
        wanted.on_existing,
        json.dumps(_options(wanted)),
    )
    row = None if wanted.anew else await database.claims.fetchrow("leads/unfinished", *how)
    if row is None:
        list_id = None
        if wanted.list_name is not None:
            list_id = await database.claims.fetchval("leads/open_list", wanted.workspace, wanted.list_name)
        row = await database.claims.fetchrow("leads/begin", *how, list_id, source.name, source.size)
    assert row is not None
    return Target(row["id"], wanted.workspace, row["list_id"], wanted.on_existing), _account(row)


def fingerprint(source: Source, head: bytes) -> str:
    """Tells one file from another, wherever it lies: by how it begins and, where that is known, its size."""
    told = hashlib.blake2b(head, digest_size=FINGERPRINT_OCTETS)
    told.update(str(source.size).encode())
    return told.hexdigest()


def differs(account: Account, source: Source) -> LeadsError:
    """The text up to where the import stopped is not the one that it has read."""
    return LeadsError(
        f"{source.name} is not what import {account.import_id} has read up to line {account.last_line:,}",
        "Begin a new import of it with --anew",
    )


def _options(wanted: Wanted) -> dict[str, Any]:
    """What decides how the text is understood; an import goes on only in the same way."""
    given = {"format": wanted.form, "delimiter": wanted.delimiter, "encoding": wanted.encoding}
    return {"columns": dict(wanted.mapping), **{name: value for name, value in given.items() if value is not None}}


def _account(row: Any) -> Account:
    return Account(
        row["id"],
        *(
            row[n]
            for n in ("chunks", "last_line", "digest", "rows", "accepted", "updated", "kept", "duplicates", "refused")
        ),
    )
