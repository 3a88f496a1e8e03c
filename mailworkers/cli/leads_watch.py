"""`mailworkers leads watch`"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from mailworkers.campaigns.listening import hearing
from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.leads_screen import ImportScreen, summary
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, plain, say
from mailworkers.errors import EX_FAILED
from mailworkers.leads import records
from mailworkers.leads.importing import Progress
from mailworkers.leads.records import ImportLine
from mailworkers.settings import Settings

LOOK_SECONDS = 1.0  # without anything heard, as behind a pooler
PAUSE_SECONDS = 0.25  # between two looks, whatever is heard

ImportId = Annotated[int, typer.Argument(help="The import's number.", min=1)]


def add_to(app: typer.Typer) -> None:
    """Give the application this command."""
    app.command("watch")(watch_)


@with_settings()
def watch_(settings: Settings, *, import_id: ImportId, as_json: Json = False) -> None:
    """Follow an import that runs elsewhere until it ends. Ctrl-C ends the watching, not the import.

    Exit code 0 when it has finished, 1 when it was interrupted. With --json, one object a line each time it went on.

    [dim]$[/dim] mailworkers leads watch 7
    """
    screen = ImportScreen(elsewhere=True)
    try:
        line, done = run_async(
            _watch(settings, import_id, lambda line, done: _print(line) if as_json else screen.progressed(done)),
            settings,
        )
    finally:
        screen.close()
    if not as_json:
        console().print(summary(done, None))
    if line.status != "finished":
        say("it was interrupted; the command that began it goes on from there")
        raise typer.Exit(EX_FAILED)


async def _watch(
    settings: Settings, import_id: int, tell: Callable[[ImportLine, Progress], None]
) -> tuple[ImportLine, Progress]:
    began = time.monotonic()
    async with opened(settings, READONLY) as database, hearing(settings, database.dsn, ("progress",)) as heard:
        line = await records.read_import(database.claims, import_id)
        before, shown = line.rows, -1
        while True:
            done = _progress(line, before, time.monotonic() - began)
            if line.rows != shown or line.status != "running":
                tell(line, done)
                shown = line.rows
            if line.status != "running":
                return line, done
            await asyncio.sleep(PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS - PAUSE_SECONDS):
                    await heard.wait()
            heard.clear()
            line = await records.read_import(database.claims, import_id)


def _progress(line: ImportLine, before: int, seconds: float) -> Progress:
    return Progress(
        line.import_id, line.rows, line.accepted, line.updated, line.kept, line.duplicates, line.refused,
        before=before, bytes_read=line.bytes_read, bytes_total=line.bytes_total, seconds=seconds,
    )  # fmt: skip


def _print(line: ImportLine) -> None:
    print(json.dumps(asdict(line), default=plain, ensure_ascii=False), flush=True)  # noqa: T201
