"""A chunk becomes leads: everything in one transaction, with the row that counts it.

New leads go by COPY straight into the table, which costs the database half of what an INSERT from a staging table does; which
are new is asked before. Should somebody else add one of them in that moment, the unique index says so, and the chunk is asked
about again. Addresses are written in order, so that two imports of the same people wait for each other and never in a circle.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import asyncpg

from mailworkers.db.pool import Gateway
from mailworkers.db.queries import Queries
from mailworkers.errors import DatabaseUnavailable, LeadsError
from mailworkers.leads.chunk import Chunk
from mailworkers.leads.fields import Content
from mailworkers.leads.strangers import Strangers

OnExisting = Literal["update", "keep"]

TRIES: Final = 10  # each time, somebody else has just added one of the same thousand addresses
_COLUMNS = ("workspace_id", "import_id", "email", "name", "data")


@dataclass(frozen=True, slots=True)
class Target:
    """Where leads go. `list_id` is None where they go on no list."""

    import_id: int
    workspace: str
    list_id: int | None
    on_existing: OnExisting


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a chunk's rows; each is counted once."""

    accepted: int
    updated: int
    kept: int
    duplicates: int
    refused: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A chunk, and what can be made of it before the one before it is written.

    `emails` are in the order in which they are written, each with its line of COPY's text format; `in_doubt` are those that the
    workspace may have.
    """

    chunk: Chunk
    emails: list[str]
    lines: list[str]
    in_doubt: list[str]


async def prepare(target: Target, strangers: Strangers, chunk: Chunk) -> Ready:
    """Make a chunk ready, while the database writes the one before it. Chunks come in the file's order."""
    emails = sorted(chunk.leads)
    await asyncio.sleep(0)  # its answers are looked at in between
    in_doubt = strangers.meet(emails)
    lines = _lines(f"{_escaped(target.workspace)}\t{target.import_id}", emails, chunk.leads)
    await asyncio.sleep(0)
    return Ready(chunk, emails, lines, in_doubt)


async def merge(
    gateway: Gateway, queries: Queries, target: Target, strangers: Strangers, ready: Ready, *, tell: bool
) -> Outcome:
    """Write a chunk, and count it.

    Args:
        gateway: to the database.
        queries: by name.
        target: where the leads go.
        strangers: what is certainly new there.
        ready: the chunk after those that are committed.
        tell: whether listeners hear of it.

    Raises:
        LeadsError: another process goes on with the same import.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    chunk = ready.chunk
    async with gateway.connection(
        f"import {target.import_id}, lines {chunk.first_line} to {chunk.last_line},"
    ) as session:
        for _ in range(TRIES):
            try:
                async with session.transaction():
                    return await _Merging(session, queries, target, ready).run(strangers, tell=tell)
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, _Gone):
                strangers.doubt_all()
    raise DatabaseUnavailable(
        f"import {target.import_id}: somebody else changes the same leads all the time",
        "Run the same command again later",
    )


class _Gone(Exception):
    """A lead was removed after it had been seen."""


class _Merging:
    def __init__(self, session: Any, queries: Queries, target: Target, ready: Ready) -> None:
        self._session = session
        self._queries = queries
        self._target = target
        self._ready = ready
        self._chunk = ready.chunk

    async def run(self, strangers: Strangers, *, tell: bool) -> Outcome:
        ready = self._ready
        known = await self._known(ready.emails if strangers.all_in_doubt else ready.in_doubt)
        ours = self._target.import_id
        before = {email: row["id"] for email, row in known.items() if row["import_id"] != ours}
        new = ready.lines
        if known:
            new = [line for email, line in zip(ready.emails, new, strict=True) if email not in known]
        await self._add(new)
        if before:
            await self._meet(before)
        outcome = self._outcome(len(new), before)
        await self._count(outcome, tell=tell)
        return outcome

    async def _known(self, emails: list[str]) -> dict[str, Any]:
        if not emails:
            return {}
        # One text, of which the database makes the array: it takes a fifth of the client's time.
        rows = await self._fetch("leads/known", " ".join(emails), self._target.workspace)
        return {row["email"]: row for row in rows}

    async def _add(self, lines: list[str]) -> None:
        if not lines:
            return
        list_id = self._target.list_id
        if list_id is None:
            await self._copy("leads", _COLUMNS, "".join(lines))
            return
        ids = [row["id"] for row in await self._fetch("leads/number", len(lines))]
        numbered = [f"{number}\t{line}" for number, line in zip(ids, lines, strict=True)]
        await self._copy("leads", ("id", *_COLUMNS), "".join(numbered))
        members = "".join([f"{list_id}\t{number}\n" for number in ids])
        await self._copy("lead_list_members", ("list_id", "lead_id"), members)

    async def _meet(self, before: Mapping[str, int]) -> None:
        """What happens to those that the workspace had before this import."""
        ordered = sorted((number, email) for email, number in before.items())
        ids = [number for number, _ in ordered]
        if self._target.on_existing == "update":
            contents = [self._chunk.leads[email] for _, email in ordered]
            names, data = [name for name, _ in contents], [text for _, text in contents]
            changed = await self._fetch(
                "leads/change", self._target.workspace, self._target.import_id, ids, names, data
            )
            if len(changed) != len(ids):
                raise _Gone
        if self._target.list_id is not None:
            await self._fetch("leads/enlist", self._target.list_id, ids)

    def _outcome(self, accepted: int, before: Mapping[str, int]) -> Outcome:
        chunk = self._chunk
        valid = len(chunk.leads) + len(chunk.repeated)
        updated = kept = 0
        if self._target.on_existing == "update":
            updated = len(before)
        elif before:
            times = Counter(chunk.repeated)
            kept = sum(1 + times[email] for email in before)
        return Outcome(accepted, updated, kept, valid - accepted - updated - kept, len(chunk.rejects))

    async def _count(self, outcome: Outcome, *, tell: bool) -> None:
        chunk, number = self._chunk, self._target.import_id
        counted = await self._fetch(
            "leads/commit_chunk", number, chunk.number, chunk.first_line, chunk.last_line, chunk.digest, chunk.bytes_read,
            outcome.accepted, outcome.updated, outcome.kept, outcome.duplicates, outcome.refused, chunk.last, tell,
        )  # fmt: skip
        if not counted:
            raise LeadsError(
                f"import {number} is gone on with by another process",
                "Let that one end; `mailworkers leads imports` shows how far it is",
            )
        if chunk.rejects:
            lines = [reject.line for reject in chunk.rejects]
            texts, reasons = [r.email for r in chunk.rejects], [r.reason for r in chunk.rejects]
            await self._fetch("leads/refuse", number, lines, texts, reasons)

    async def _fetch(self, name: str, *arguments: Any) -> list[Any]:
        rows: list[Any] = await self._session.fetch(self._queries[name], *arguments)
        return rows

    async def _copy(self, table: str, columns: tuple[str, ...], text: str) -> None:
        await self._session.copy_to_table(
            table,
            schema_name=self._queries.schema,
            columns=columns,
            source=_Bytes(text.encode()),
            format="text",
            null="",
        )


class _Bytes:
    """Bytes as COPY wants them: anything else would be read in a thread."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def _lines(whose: str, emails: list[str], leads: Mapping[str, Content]) -> list[str]:
    """In COPY's text format nothing stands for NULL. What would end a field or a line is in no name, and JSON escapes it; so only
    the backslash is left to escape, and hardly a row has one.
    """
    lines = []
    for email in emails:
        name, data = leads[email]
        line = f"{whose}\t{email}\t{name or ''}\t{data}\n"
        if "\\" in data or (name and "\\" in name):
            line = f"{whose}\t{email}\t{_escaped(name or '')}\t{_escaped(data)}\n"
        lines.append(line)
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\") if "\\" in text else text
