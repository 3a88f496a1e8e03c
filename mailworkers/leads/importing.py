"""`import_leads`: a file becomes leads, a chunk a transaction, while the next one is read and checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseError, LeadsError
from mailworkers.leads import chunk as chunks
from mailworkers.leads import columns, encoding, ledger, source
from mailworkers.leads.chunk import Chunk, Gathering
from mailworkers.leads.fields import NO_TEXT
from mailworkers.leads.form import Form, told
from mailworkers.leads.ledger import Account, Wanted
from mailworkers.leads.lines import Block, Lines
from mailworkers.leads.merge import Outcome, Target, merge, prepare
from mailworkers.leads.rows import NONE_LEFT
from mailworkers.leads.strangers import Strangers

ROWS_AT_A_TIME: Final = 100  # about half a ms; between them, the database's answers are looked at
TELL_SECONDS: Final = 0.34  # between notifications: with the one of the end, never more than four a second
INTERRUPT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is, each row counted once, by what became of it.

    `updated` and `kept` had been the workspace's leads before this import, `duplicates` came with an earlier row of it. `before` rows
    were committed by earlier runs of the command. `unfit` of the refused rows, in this run, do not fit `encoding`, in which the file
    is read. `bytes_total` is None where nobody knows it; `seconds` are this run's.
    """

    import_id: int
    rows: int
    accepted: int
    updated: int
    kept: int
    duplicates: int
    refused: int
    before: int
    bytes_read: int
    bytes_total: int | None
    seconds: float
    notes: tuple[str, ...] = ()
    encoding: str = ""
    unfit: int = 0

    @property
    def unfit_told(self) -> str:
        """A sentence about the rows that do not fit the encoding; empty where all do."""
        return encoding.unfit(self.unfit, self.rows - self.before, self.encoding) if self.unfit else ""

    @property
    def rows_per_second(self) -> float:
        """Of this run."""
        return (self.rows - self.before) / self.seconds if self.seconds > 0 else 0.0


async def import_leads(
    database: Database, wanted: Wanted, on_progress: Callable[[Progress], None] = lambda _progress: None
) -> Progress:
    """Import a list of contacts. Killed at any moment, the same call goes on after the last committed chunk.

    Args:
        database: where to.
        wanted: what, and how.
        on_progress: called once when it begins or goes on, and after each committed chunk.

    Returns:
        the final counts, of all runs together.

    Raises:
        LeadsError: the file cannot be read or understood, or has changed since it was begun.
        DatabaseUnavailable, DatabaseRefused: the database said no, or nothing; the same call goes on.
    """
    columns.check(wanted.mapping)
    _check_names(wanted)
    with source.opened(wanted.path) as opened:
        head = await opened.head()
        form = told(head, opened.name, wanted)
        target, account = await ledger.open_account(database, wanted, opened, head)
        reading = _Reading(Lines(opened, head, form.encoding), form, account, ledger.differs(account, opened))
        progress = _beginning(account, opened.size, form)
        on_progress(progress)
        strangers = Strangers(empty=not await database.claims.fetchval("leads/any", wanted.workspace))
        return await _merged(database, target, strangers, reading, progress, on_progress)


async def _merged(
    database: Database,
    target: Target,
    strangers: Strangers,
    reading: _Reading,
    progress: Progress,
    tell: Callable[[Progress], None],
) -> Progress:
    began = time.monotonic()
    pace = Pace()
    under_way: tuple[asyncio.Task[Outcome], Chunk] | None = None

    async def settled(progress: Progress) -> Progress:
        if under_way is None:
            return progress
        task, chunk = under_way
        progress = _added(progress, await task, chunk, time.monotonic() - began)
        tell(progress)
        return progress

    try:
        async with aclosing(reading.chunks()) as made:
            async for chunk in made:
                ready = await prepare(target, strangers, chunk)
                progress = await settled(progress)
                merging = merge(
                    database.claims, database.queries, target, strangers, ready, tell=pace.due(last=chunk.last)
                )
                under_way = (asyncio.create_task(merging), chunk)
        return await settled(progress)
    except BaseException:
        if under_way is not None:
            under_way[0].cancel()
            await asyncio.wait([under_way[0]], timeout=INTERRUPT_SECONDS)
        await _interrupt(database, target.import_id)
        raise


async def _interrupt(database: Database, import_id: int) -> None:
    """Say that it has stopped; if that fails, the time of its last chunk says so too."""
    try:
        async with asyncio.timeout(INTERRUPT_SECONDS):
            await database.claims.execute("leads/interrupt", import_id)
    except (DatabaseError, TimeoutError):
        return


class Pace:
    """When listeners are told of a chunk: of the first, of the last, and now and then between them."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self, *, last: bool) -> bool:
        """Whether to tell of this one."""
        now = time.monotonic()
        if now < self._next and not last:
            return False
        self._next = now + TELL_SECONDS
        return True


class _Reading:
    """Makes chunks of what has not been committed yet."""

    def __init__(self, lines: Lines, form: Form, account: Account, differs: LeadsError) -> None:
        self._lines = lines
        self._form = form
        self._skip = max(account.last_line, form.header_lines)
        self._committed = account.digest if account.chunks else None
        self._number = account.chunks
        self._rows = account.rows
        self._first = self._skip + 1
        self._differs = differs

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """All of them; the last one says so, and may be empty."""
        gathering = self._gathering()
        rows = self._form.rows
        async with aclosing(self._lines.blocks()) as blocks:
            async for block in blocks:
                lines, first = self._unused(block)
                lines, first = rows.rest + lines, first - len(rows.rest)
                used = 0
                rows.begin(lines, first, last=block.last)
                while (portion := rows.take(min(ROWS_AT_A_TIME, gathering.room))) is not NONE_LEFT:
                    gathering.take(portion)
                    await asyncio.sleep(0)
                    if gathering.full:
                        self._lines.used(lines[used : rows.used])
                        used = rows.used
                        yield self._chunk(gathering, first + used - 1, last=False)
                        gathering = self._gathering()
                self._lines.used(lines[used : len(lines) - len(rows.rest)])
                end = first + len(lines) - 1
        yield self._chunk(gathering, end, last=True)

    def _gathering(self) -> Gathering:
        return Gathering(self._form.reader, chunks.rows_after(self._rows))

    def _chunk(self, gathering: Gathering, last_line: int, *, last: bool) -> Chunk:
        self._number += 1
        self._rows += gathering.rows
        first, self._first = self._first, last_line + 1
        return gathering.chunk(
            number=self._number,
            first_line=first,
            last_line=last_line,
            digest=self._lines.digest(),
            bytes_read=self._lines.bytes_used,
            last=last,
        )

    def _unused(self, block: Block) -> tuple[list[str], int]:
        """What of a block has not become rows yet, and the number of its first line."""
        skipped = min(max(self._skip - block.first + 1, 0), len(block.lines))
        self._lines.used(block.lines[:skipped])
        if self._committed is not None and (block.first + skipped > self._skip or block.last):
            if self._lines.digest() != self._committed:
                raise self._differs
            self._committed = None
        return block.lines[skipped:], block.first + skipped


def _check_names(wanted: Wanted) -> None:
    for what, text, most in (("workspace", wanted.workspace, 100), ("list", wanted.list_name, 200)):
        if text is not None and not (0 < len(text) <= most and text.isprintable()):
            raise LeadsError(f"the {what}'s name must be one line of 1 to {most} characters")


def _beginning(account: Account, size: int | None, form: Form) -> Progress:
    return Progress(
        account.import_id, account.rows, account.accepted, account.updated, account.kept, account.duplicates, account.refused,
        before=account.rows, bytes_read=0, bytes_total=size, seconds=0.0, notes=form.notes,
        encoding=form.encoding,
    )  # fmt: skip


def _added(progress: Progress, outcome: Outcome, chunk: Chunk, seconds: float) -> Progress:
    counts = {name: getattr(progress, name) + getattr(outcome, name) for name in outcome.__slots__}
    rows = progress.rows + sum(getattr(outcome, name) for name in outcome.__slots__)
    unfit = progress.unfit + sum(reject.reason == NO_TEXT for reject in chunk.rejects)
    return replace(progress, rows=rows, bytes_read=chunk.bytes_read, seconds=seconds, unfit=unfit, **counts)
