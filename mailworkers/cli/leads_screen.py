"""What an import shows: a progress bar on a terminal, lines elsewhere, and the counts at its end."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mailworkers.cli.output import say, span
from mailworkers.leads.importing import Progress as Done

PLAIN_LINE_SECONDS = 2.0  # how often a line tells the progress where no bar can
EARLY_SECONDS = 1.0  # an import that lasts longer tells what goes wrong before its end
BAR_SECONDS = 0.1  # more often nobody can read it


class ImportScreen:
    """Tells one person how an import goes, on standard error. `rows` are committed; `elsewhere`: another command imports them."""

    def __init__(self, *, elsewhere: bool = False) -> None:
        self.rows = 0
        self._elsewhere = elsewhere
        self._out = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown = 0.0
        self._warned = False

    def progressed(self, done: Done) -> None:
        """It began, or went on."""
        self.rows = done.rows
        now = time.monotonic()
        if done.unfit and not self._warned and done.seconds >= EARLY_SECONDS:
            self._warned = True
            say(f"so far, {done.unfit_told}")
        if not self._shown:
            self._begin(done)
            self._shown = now
        elif self._bar is not None and now - self._shown >= BAR_SECONDS:
            self._shown = now
            self._bar.update(self._task, completed=done.bytes_read, told=_told(done))
        elif self._bar is None and now - self._shown >= PLAIN_LINE_SECONDS:
            self._shown = now
            say(_told(done))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _begin(self, done: Done) -> None:
        for note in done.notes:
            say(note)
        if done.before and not self._elsewhere:
            say(f"going on with import {done.import_id} after {done.before:,} rows")
        if self._out.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=36),
                TaskProgressColumn(),
                TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(),
                console=self._out,
                transient=True,
            )
            self._task = self._bar.add_task("", total=done.bytes_total, told="")
            self._bar.start()


def _told(done: Done) -> str:
    text = f"{done.rows:,} rows, {done.rows_per_second:,.0f} rows/s"
    if done.bytes_total and done.bytes_read and done.rows > done.before:
        # Rows that were committed before are skipped in no time; what is left goes as the rest of this run went.
        per_row = done.bytes_read / done.rows
        left = (done.bytes_total - done.bytes_read) / per_row / max(done.rows_per_second, 1)
        text += f", {span(max(left, 0))} left"
    return text


def summary(done: Done, rejects: Path | None) -> Table:
    """The counts, for a person."""
    made = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(justify="right", style="bold")
    made.add_column()
    refused = f"see mailworkers leads rejects {done.import_id}" if rejects is None else f"see {escape(str(rejects))}"
    rows = (
        ("rows", done.rows, f"import {done.import_id}" + (f", {done.before:,} of them before" if done.before else "")),
        ("new", done.accepted, "leads"),
        ("updated", done.updated, "the workspace had them already"),
        ("kept", done.kept, "the workspace had them already, and nothing was changed"),
        ("duplicates", done.duplicates, "an earlier row has the same address"),
        ("refused", done.refused, refused),
    )
    for name, count, about in rows:
        if count or name in ("rows", "new"):
            made.add_row(name, f"{count:,}", about)
    made.add_row("rows/s", f"{done.rows_per_second:,.0f}", f"in {span(done.seconds)}")
    return made
