"""`mailworkers migrate`"""

from __future__ import annotations

from typing import Annotated

import typer

from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json, say, table
from mailworkers.db import migrate as migrations
from mailworkers.db.connect import database_url
from mailworkers.db.migrate import Migration, Status
from mailworkers.settings import Settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL that would run, and change nothing.")]
ShowStatus = Annotated[bool, typer.Option("--status", help="List what ran and what is missing, and change nothing.")]


@with_settings()
def migrate(settings: Settings, *, dry_run: DryRun = False, status: ShowStatus = False, as_json: Json = False) -> None:
    """Bring the database's schema up to this version.

    Forward only, one transaction a file, safe to run from several places at once. The database's user must be able to
    create a schema and, the first time on a server, roles.

    [dim]$[/dim] mailworkers migrate --database-url postgresql://owner@db/mail
    [dim]$[/dim] mailworkers migrate --dry-run > review.sql
    [dim]$[/dim] mailworkers migrate --status --json
    """
    if settings.database_url is None:
        say("no database given: using the embedded server, which is always kept migrated")
    if status or dry_run:
        compared = run_async(_compare(settings), settings)
        _show_status(compared, as_json=as_json) if status else _show_sql(compared)
        return
    before = run_async(_migrate(settings, quiet=as_json), settings)
    if as_json:
        print_json(_as_json(Status(before.applied + before.pending, (), before.unknown), ran=before.pending))
    elif not before.pending:
        console().print(f"Nothing to do: the schema {settings.db_schema} is at version {_version(before.applied)}.")


async def _migrate(settings: Settings, *, quiet: bool) -> Status:
    out = console()

    def tell(migration: Migration) -> None:
        if not quiet:
            out.print(f"[green]✓[/green] {migration.version:04} {_words(migration)}")

    async with database_url(settings) as dsn:
        return await migrations.migrate(dsn, settings.db_schema, tell)


async def _compare(settings: Settings) -> Status:
    async with database_url(settings) as dsn:
        return await migrations.status(dsn, settings.db_schema)


def _show_status(found: Status, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(found, ran=()))
        return
    rows = [(f"{m.version:04}", _words(m), "[green]applied[/green]") for m in found.applied]
    rows += [(f"{m.version:04}", _words(m), "[yellow]missing[/yellow]") for m in found.pending]
    rows += [(f"{version:04}", "", "[red]newer than this program[/red]") for version in found.unknown]
    console().print(table(("version", "migration", "state"), rows))


def _show_sql(found: Status) -> None:
    migrations.refuse_newer(found)
    for migration in found.pending:
        print(f"-- {migration.version:04}_{migration.name}.sql\n{migration.sql}")  # noqa: T201 -- for a file or a pipe
    if not found.pending:
        say("nothing would run")


def _as_json(found: Status, ran: tuple[Migration, ...]) -> dict[str, object]:
    return {
        "version": _version(found.applied),
        "applied": [m.version for m in found.applied],
        "pending": [m.version for m in found.pending],
        "unknown": list(found.unknown),
        "ran": [m.version for m in ran],
    }


def _version(applied: tuple[Migration, ...]) -> int:
    return applied[-1].version if applied else 0


def _words(migration: Migration) -> str:
    return migration.name.replace("_", " ")
