"""`mailworkers workspaces list · set · pause · resume`"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json, table
from mailworkers.queue import workspaces
from mailworkers.queue.workspaces import WorkspaceLine
from mailworkers.settings import Settings

app = typer.Typer(
    help="Share what is sent among workspaces by weight, and pause one.", no_args_is_help=True, rich_markup_mode="rich"
)

Workspace = Annotated[str, typer.Argument(help="The workspace.")]
Weight = Annotated[
    float,
    typer.Option("--weight", help="Its share against the others; 1 where nothing is set.", min=0.01, max=100),
]
Why = Annotated[str | None, typer.Option("--why", help="One line, for whoever wonders later.")]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=10_000)]


@app.command("list")
@with_settings()
def list_(settings: Settings, *, limit: Limit = 1000, as_json: Json = False) -> None:
    """List workspaces that have a weight of their own or are paused. All others have weight 1.

    [dim]$[/dim] mailworkers workspaces list
    """
    lines = run_async(_list(settings, limit), settings)
    if as_json:
        print_json(lines)
    elif lines:
        console().print(table(("workspace", "weight#", "paused since", "why"), [*map(_row, lines)]))
    else:
        console().print("All workspaces have weight 1, and none is paused.")


@app.command("set")
@with_settings()
def set_(settings: Settings, *, workspace: Workspace, weight: Weight, as_json: Json = False) -> None:
    """Give a workspace a weight: with 3 it sends three times as much as one with 1 while both have mail of one priority.

    [dim]$[/dim] mailworkers workspaces set shop --weight 3
    """
    line = run_async(_weigh(settings, workspace, weight), settings)
    _say(line, as_json, f"Workspace {workspace} has weight {line.weight:g}.")


@app.command("pause")
@with_settings()
def pause(settings: Settings, *, workspace: Workspace, why: Why = None, as_json: Json = False) -> None:
    """Send nothing more of a workspace, its single mails included; what is in flight goes out. Applications go on inserting.

    [dim]$[/dim] mailworkers workspaces pause shop --why 'their list was stolen'
    """
    line = run_async(_pause(settings, workspace, why), settings)
    _say(line, as_json, f"Workspace {workspace} is paused.")


@app.command("resume")
@with_settings()
def resume(settings: Settings, *, workspace: Workspace, as_json: Json = False) -> None:
    """Let a paused workspace go on where it stood.

    [dim]$[/dim] mailworkers workspaces resume shop
    """
    line = run_async(_resume(settings, workspace), settings)
    _say(line, as_json, f"Workspace {workspace} goes on." if line else f"Workspace {workspace} was not paused.")


def _say(line: WorkspaceLine | None, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(line)
    else:
        console().print(sentence, markup=False)


def _row(line: WorkspaceLine) -> tuple[str, ...]:
    paused = f"{line.paused_at:%Y-%m-%d %H:%M} UTC" if line.paused_at else ""
    return (escape(line.workspace_id), f"{line.weight:g}", paused, escape(line.why or ""))


async def _list(settings: Settings, limit: int) -> list[WorkspaceLine]:
    async with opened(settings, READONLY) as database:
        return await workspaces.list_workspaces(database.claims, limit)


async def _weigh(settings: Settings, workspace: str, weight: float) -> WorkspaceLine:
    async with opened(settings) as database:
        return await workspaces.weigh(database, workspace, weight)


async def _pause(settings: Settings, workspace: str, why: str | None) -> WorkspaceLine:
    async with opened(settings) as database:
        return await workspaces.pause(database, workspace, why)


async def _resume(settings: Settings, workspace: str) -> WorkspaceLine | None:
    async with opened(settings) as database:
        return await workspaces.resume(database.claims, workspace)
