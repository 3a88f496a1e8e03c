"""`mailworkers campaign segments`"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from mailworkers.campaigns import life
from mailworkers.campaigns.segments import Segment, list_segments, remove_segment
from mailworkers.cli import campaign_options as given
from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json, span, table
from mailworkers.errors import CampaignError
from mailworkers.settings import Settings

Save = Annotated[
    str | None,
    typer.Option("--save", help="Keep --where and --filter under this name.", metavar="NAME", show_default=False),
]
Remove = Annotated[str | None, typer.Option("--remove", help="Forget this one.", metavar="NAME", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Give the application this command."""
    app.command("segments")(segments)


@with_settings()
def segments(
    settings: Settings,
    *,
    workspace: given.Workspace = "default",
    save: Save = None,
    remove: Remove = None,
    where: given.Where = None,
    filter_: given.Filter = None,
    as_json: Json = False,
) -> None:
    """List a workspace's segments, which are filters with a name; keep one, or forget one.

    A campaign takes its segment as it is when it starts.

    [dim]$[/dim] mailworkers campaign segments
    [dim]$[/dim] mailworkers campaign segments --save grown-ups --where 'age>=18' --where city=Bonn
    [dim]$[/dim] mailworkers campaign segments --remove grown-ups
    """
    filter_given = given.filter_given(where, filter_)
    if save is not None and remove is not None:
        raise typer.BadParameter("give --save or --remove, not both")
    if (filter_given is not None) != (save is not None):
        raise typer.BadParameter("--save goes with --where or --filter, as in --save bonn --where city=Bonn")
    if save is not None and filter_given is not None:
        segment_id = run_async(_save(settings, workspace, save, filter_given), settings)
        _tell(f"Saved segment {save}: {json.dumps(filter_given, ensure_ascii=False)}", as_json=as_json,
              keys={"segment_id": segment_id, "name": save, "filter": filter_given})  # fmt: skip
    elif remove is not None:
        if not run_async(_remove(settings, workspace, remove), settings):
            raise CampaignError(f"workspace {workspace} has no segment {remove}", "See `mailworkers campaign segments`")
        _tell(f"Removed segment {remove}.", as_json=as_json, keys={"name": remove, "removed": True})
    else:
        _print(workspace, run_async(_list(settings, workspace), settings), as_json=as_json)


async def _save(settings: Settings, workspace: str, name: str, filter_: dict[str, object]) -> int:
    async with opened(settings) as database:
        return await life.save_segment(database, workspace, name, filter_)


async def _remove(settings: Settings, workspace: str, name: str) -> bool:
    async with opened(settings) as database:
        return await remove_segment(database.claims, workspace, name)


async def _list(settings: Settings, workspace: str) -> list[Segment]:
    async with opened(settings, READONLY) as database:
        return await list_segments(database.claims, workspace)


def _tell(sentence: str, *, as_json: bool, keys: dict[str, object]) -> None:
    if as_json:
        print_json(keys)
    else:
        console().print(sentence, markup=False, soft_wrap=True)


def _print(workspace: str, found: list[Segment], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found:
        now = datetime.now(UTC)
        rows = [
            (
                escape(one.name),
                escape(json.dumps(one.filter, ensure_ascii=False)),
                f"{span(max(0.0, (now - one.updated_at).total_seconds()))} ago",
            )
            for one in found
        ]
        console().print(table(("segment", "filter", "saved"), rows))
    else:
        console().print(f"Workspace {workspace} has no segments.", markup=False)
