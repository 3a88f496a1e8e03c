"""`mailworkers leads import · imports · rejects · lists · show · remove`"""

from __future__ import annotations

import asyncio
import csv
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer
from rich.markup import escape

from mailworkers.cli import leads_watch
from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.files import STANDARD_STREAM, writable
from mailworkers.cli.leads_screen import ImportScreen, summary
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, facts, print_json, say, table
from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseUnavailable, LeadsError
from mailworkers.leads import records
from mailworkers.leads.importing import Progress, import_leads
from mailworkers.leads.ledger import Wanted
from mailworkers.leads.records import ImportLine, Lead, ListLine
from mailworkers.settings import Settings

app = typer.Typer(help="Import contacts, and look at them.", no_args_is_help=True, rich_markup_mode="rich")
leads_watch.add_to(app)

File = Annotated[str, typer.Argument(help="CSV or JSON Lines; - reads standard input.", metavar="FILE")]
Workspace = Annotated[str, typer.Option("--workspace", "-w", help="Whose leads they are.")]
ListName = Annotated[str | None, typer.Option("--list", help="The list that they go on.", show_default=False)]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="email=TITLE, name=TITLE or VARIABLE=TITLE; may be given again.", metavar="FIELD=TITLE"),
]
OnExisting = Annotated[
    Literal["update", "keep"],
    typer.Option("--on-existing", help="What becomes of leads that the workspace has already."),
]
Format = Annotated[
    Literal["csv", "jsonl"] | None, typer.Option("--format", help="By default, what it looks like.", show_default=False)
]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", help="One character, or tab; by default found out.", show_default=False)
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="By default found out: UTF-8, UTF-16 or cp1252.", show_default=False)
]
Rejects = Annotated[
    Path | None, typer.Option("--rejects", help="Write the refused rows here, as CSV.", show_default=False)
]
Anew = Annotated[bool, typer.Option("--anew", help="Begin again, whatever was interrupted.")]
Email = Annotated[str, typer.Argument(help="The address.")]
ImportId = Annotated[int, typer.Argument(help="The import's number.", min=1)]
AnyWorkspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Only this workspace's.")]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=1000)]


@app.command("import")
@with_settings()
def import_(  # noqa: PLR0913 -- a command's options are its arguments
    settings: Settings,
    *,
    file: File,
    workspace: Workspace = "default",
    list_name: ListName = None,
    mapping: Map = None,
    on_existing: OnExisting = "update",
    form: Format = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    rejects: Rejects = None,
    anew: Anew = False,
    as_json: Json = False,
) -> None:
    """Import contacts from a file with an address in each row.

    Every other column becomes a merge variable: "Signed up" is {{ signed_up }}. An address counts once, by its first
    row. A row that cannot be a lead is refused with its reason, and the rest goes on. Interrupted or killed, the same
    command goes on where it stopped.

    [dim]$[/dim] mailworkers leads import contacts.csv --list newsletter
    [dim]$[/dim] mailworkers leads import kontakte.csv --map email=E-Mail-Adresse --map city=Ort --rejects refused.csv
    [dim]$[/dim] zcat contacts.jsonl.gz | mailworkers leads import - --workspace acme --on-existing keep
    """
    wanted = Wanted(
        file, workspace, list_name, on_existing, _mapping(mapping or []), form, delimiter, encoding, anew=anew
    )
    screen = ImportScreen()
    try:
        done = run_async(_import(settings, wanted, rejects, screen.progressed), settings)
    except (KeyboardInterrupt, asyncio.CancelledError, DatabaseUnavailable):
        screen.close()
        if screen.rows:
            say(f"interrupted after {screen.rows:,} rows; the same command goes on from there")
        raise
    finally:
        screen.close()
    if done.unfit:
        say(done.unfit_told)
    if as_json:
        print_json({**_as_json(done), "rejects_file": None if rejects is None else str(rejects)})
    else:
        console().print(summary(done, rejects))


@app.command("imports")
@with_settings()
def imports(settings: Settings, *, workspace: AnyWorkspace = None, limit: Limit = 20, as_json: Json = False) -> None:
    """List the newest imports, and how far they are.

    [dim]$[/dim] mailworkers leads imports --workspace acme
    """
    lines = run_async(_list_imports(settings, workspace, limit), settings)
    if as_json:
        print_json(lines)
    elif lines:
        columns = (
            "import#", "workspace", "list", "file", "status", "rows#", "new#", "updated#", "kept#", "duplicates#", "refused#", "started",
        )  # fmt: skip
        console().print(table(columns, [_import_row(line) for line in lines]))
    else:
        console().print("No imports yet.")


@app.command("rejects")
@with_settings()
def rejects(settings: Settings, *, import_id: ImportId) -> None:
    """Print the rows that an import refused, as CSV: line, email, reason.

    [dim]$[/dim] mailworkers leads rejects 7 > refused.csv
    """
    run_async(_print_rejects(settings, import_id), settings)


@app.command("lists")
@with_settings()
def lists(settings: Settings, *, workspace: Workspace = "default", as_json: Json = False) -> None:
    """List a workspace's lists.

    [dim]$[/dim] mailworkers leads lists --workspace acme
    """
    lines = run_async(_list_lists(settings, workspace), settings)
    if as_json:
        print_json(lines)
    elif lines:
        console().print(table(("list", "leads#"), [(escape(line.name), f"{line.leads:,}") for line in lines]))
    else:
        console().print(f"Workspace {workspace} has no lists.", markup=False)


@app.command("show")
@with_settings()
def show(settings: Settings, *, email: Email, workspace: Workspace = "default", as_json: Json = False) -> None:
    """Show everything that is known of one lead.

    [dim]$[/dim] mailworkers leads show ann@example.org
    """
    lead = run_async(_read(settings, email, workspace), settings)
    if lead is None:
        raise LeadsError(f"workspace {workspace} has no lead {email}", "Check --workspace")
    if as_json:
        print_json(lead)
    else:
        pairs = {"lead": str(lead.lead_id), "email": lead.email, "name": lead.name or "-", "status": lead.status}
        pairs |= {"lists": ", ".join(lead.lists) or "-", "import": str(lead.import_id or "-")}
        pairs |= {"created": f"{lead.created_at:%Y-%m-%d %H:%M}", "updated": f"{lead.updated_at:%Y-%m-%d %H:%M}"}
        pairs |= {f"{{{{ {name} }}}}": str(value) for name, value in lead.data.items()}
        console().print(facts({name: escape(value) for name, value in pairs.items()}))


@app.command("remove")
@with_settings()
def remove(settings: Settings, *, email: Email, workspace: Workspace = "default") -> None:
    """Forget one lead, on every list. Mails of campaigns that wait for it are recorded as suppressed.

    [dim]$[/dim] mailworkers leads remove ann@example.org
    """
    if not run_async(_remove(settings, email, workspace), settings):
        raise LeadsError(f"workspace {workspace} has no lead {email}", "Check --workspace")
    console().print(f"Removed {email}.", markup=False)


async def _import(
    settings: Settings, wanted: Wanted, rejects: Path | None, tell: Callable[[Progress], None]
) -> Progress:
    if rejects is not None:
        _check_apart(str(wanted.path), rejects)
    with writable(rejects, "--rejects") as file:
        async with opened(settings) as database:
            done = await import_leads(database, wanted, tell)
            if file is not None:
                await _write_rejects(database, done.import_id, file)
        return done


async def _print_rejects(settings: Settings, import_id: int) -> None:
    async with opened(settings, READONLY) as database:
        await records.read_import(database.claims, import_id)
        await _write_rejects(database, import_id, sys.stdout)


async def _write_rejects(database: Database, import_id: int, file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("line", "email", "reason"))
    async for reject in records.rejects(database.claims, import_id):
        writer.writerow((reject.line, reject.email, reject.reason))


async def _list_imports(settings: Settings, workspace: str | None, limit: int) -> list[ImportLine]:
    async with opened(settings, READONLY) as database:
        return await records.list_imports(database.claims, workspace, limit)


async def _list_lists(settings: Settings, workspace: str) -> list[ListLine]:
    async with opened(settings, READONLY) as database:
        return await records.list_lists(database.claims, workspace)


async def _read(settings: Settings, email: str, workspace: str) -> Lead | None:
    async with opened(settings, READONLY) as database:
        return await records.read_lead(database.claims, email, workspace)


async def _remove(settings: Settings, email: str, workspace: str) -> bool:
    async with opened(settings) as database:
        return await records.remove_lead(database.claims, email, workspace)


def _check_apart(source: str, rejects: Path) -> None:
    """Writing empties a file before it is read, and people have no other copy of some."""
    try:
        read, written = os.fstat(0) if source == STANDARD_STREAM else Path(source).stat(), rejects.stat()
    except OSError:
        return  # one of them is not there, which is said where it is opened
    if stat.S_ISREG(written.st_mode) and os.path.samestat(read, written):
        raise LeadsError(f"--rejects {rejects} is the file that is to be imported", "Choose another name")


def _mapping(given: list[str]) -> dict[str, str]:
    pairs = {}
    for one in given:
        field, equals, title = one.partition("=")
        if not (field.strip() and equals and title.strip()):
            raise typer.BadParameter(f"--map takes FIELD=TITLE, as in --map email=E-Mail, not {one!r}")
        pairs[field.strip()] = title.strip()
    return pairs


def _as_json(done: Progress) -> dict[str, Any]:
    return {
        "import_id": done.import_id,
        "rows": done.rows,
        "accepted": done.accepted,
        "updated": done.updated,
        "kept": done.kept,
        "duplicates": done.duplicates,
        "refused": done.refused,
        "rows_before": done.before,
        "seconds": round(done.seconds, 3),
        "rows_per_second": round(done.rows_per_second, 1),
        "notes": [*done.notes, *([done.unfit_told] if done.unfit else [])],
    }


def _import_row(line: ImportLine) -> tuple[str, ...]:
    colour = {"finished": "green", "running": "cyan"}.get(line.status, "yellow")
    counts = (line.rows, line.accepted, line.updated, line.kept, line.duplicates, line.refused)
    texts = (line.workspace_id, line.list or "", line.source)
    return (
        str(line.import_id),
        *(escape(text) for text in texts),
        f"[{colour}]{line.status}[/{colour}]",
        *(f"{count:,}" for count in counts),
        f"{line.started_at:%Y-%m-%d %H:%M}",
    )
