"""`mailworkers limits list · set · reset`"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.limits_screen import limit_table, lowered_table, rate_text
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json, say
from mailworkers.destinations.table import groups
from mailworkers.errors import LimitError
from mailworkers.limits import Scope, limits_from
from mailworkers.limits.keys import EACH, OTHERS
from mailworkers.limits.table import LimitLine, forget_all, read_limits, reset_limit, set_limit
from mailworkers.queue.overview import LoweredLine, read_lowered
from mailworkers.settings import Settings

MOST_LOWERED = 1_000  # of the slowest

app = typer.Typer(
    help="How fast mail may leave: what is set, and what relays let us know.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

ScopeName = Annotated[Scope, typer.Argument(help="Whose mails it counts.", show_default=False)]
MaybeScope = Annotated[Scope | None, typer.Argument(help="Whose.", show_default=False)]
Name = Annotated[
    str,
    typer.Argument(help="Which one: a workspace, google, acme/google, all; '*' is each that has no limit of its own."),
]
MaybeName = Annotated[str | None, typer.Argument(help="Which one; '*' is what is set for each.", show_default=False)]
Rate = Annotated[str, typer.Argument(help="Such as 50/s, 100/min, 1000/h, 20/90s, or none.", show_default=False)]
Burst = Annotated[int | None, typer.Option("--burst", help="Mails that may leave at once after a pause.", min=1)]
Floor = Annotated[str | None, typer.Option("--floor", help="Learn no rate below this one, such as 1/min.")]
Learned = Annotated[bool, typer.Option("--learned", help="Only what was learned; what is set stays.")]


@app.command("list")
@with_settings()
def list_(settings: Settings, *, as_json: Json = False) -> None:
    """List the limits that are set, and each lane that is sent to more slowly because the relay asked for it.

    A mail counts against every limit that names it: the system's, the relay's (provider), its workspace's, its destination's, its
    lane's (workspace/destination) and that of the worker that sends it. No window of that length sees more mails.

    [dim]$[/dim] mailworkers limits list
    [dim]$[/dim] mailworkers limits list --json | jq '.lowered[] | .name, .rate'
    """
    limits, lowered = run_async(_list(settings), settings)
    if as_json:
        print_json({"limits": limits, "lowered": lowered})
        return
    shown: list[RenderableType] = [limit_table(limits) if limits else Text("nothing is limited")]
    if lowered:
        shown += [Text(), Text("Slowed because the relay asked for less", style="bold"), lowered_table(lowered)]
    for part in shown:
        console().print(part)


async def _list(settings: Settings) -> tuple[list[LimitLine], tuple[LoweredLine, ...]]:
    async with opened(settings, READONLY) as database:
        return await read_limits(database.claims, limits_from(settings)), await read_lowered(
            database.claims, MOST_LOWERED
        )


@app.command("set")
@with_settings()
def set_(
    settings: Settings,
    scope: ScopeName,
    name: Name,
    rate: Rate = "",
    *,
    burst: Burst = None,
    floor: Floor = None,
    as_json: Json = False,
) -> None:
    """Set a limit for all daemons; running ones keep to it within a second.

    It stands instead of the one that '*' or the settings have for the same period. A destination's stands instead of the rate that it
    publishes. Mail that has to wait spends no attempt, and holds no other lane up.

    [dim]$[/dim] mailworkers limits set workspace acme 100/min
    [dim]$[/dim] mailworkers limits set destination google 20/s --burst 5
    [dim]$[/dim] mailworkers limits set lane acme/microsoft 1000/h
    [dim]$[/dim] mailworkers limits set destination '*' --floor 1/min
    [dim]$[/dim] mailworkers limits set workspace staff none
    """
    line, known = run_async(_set(settings, scope, name, rate, burst, floor), settings)
    group = _group_of(line)
    if group and group not in known:
        say(
            f"no destination group is called {group} so far: nothing falls under this limit. See `mailworkers destinations list`"
        )
    if as_json:
        print_json(line)
        return
    wanted = [rate_text(line.tokens, line.seconds)] if rate else []
    wanted += [f"no learned rate below {line.floor:.3g} mails/s"] if line.floor is not None else []
    console().print(escape(f"{line.scope} {line.name}: {', '.join(wanted)}"))


async def _set(
    settings: Settings, scope: Scope, name: str, rate: str, burst: int | None, floor: str | None
) -> tuple[LimitLine, set[str]]:
    """The limit, and the names of all destination groups."""
    async with opened(settings) as database:
        line = await set_limit(database.claims, scope, name, rate, burst=burst, floor=floor)
        return line, {group.name for group in await groups(database.claims)}


def _group_of(line: LimitLine) -> str:
    """The destination group that must be there for a limit to hold for a mail; empty where none must."""
    if line.name == EACH:
        return ""
    match Scope(line.scope):
        case Scope.DESTINATION:
            return "" if line.name == OTHERS else line.name
        case Scope.LANE:
            return line.name.rpartition("/")[2]
        case _:
            return ""


@app.command("reset")
@with_settings()
def reset(
    settings: Settings,
    scope: MaybeScope = None,
    name: MaybeName = None,
    *,
    learned: Learned = False,
    as_json: Json = False,
) -> None:
    """Take back what was set of one, and forget what was learned of it: mail goes out as if there had been nothing.

    With --learned alone, every learned rate is forgotten. Daemons learn again from the next refusal, so this is for a relay that was
    told to take more, when nobody wants to wait for the rate to rise by itself.

    [dim]$[/dim] mailworkers limits reset workspace acme
    [dim]$[/dim] mailworkers limits reset lane acme/google --learned
    [dim]$[/dim] mailworkers limits reset --learned
    """
    if (scope is None) != (name is None) or (scope is None and not learned):
        raise LimitError("nobody is named", "Say whose limit is meant, or --learned to forget all that was learned.")
    done = run_async(_reset(settings, scope, name, learned), settings)
    if as_json:
        print_json(done)
    else:
        console().print(f"{done['settings']} limit(s) taken back, {done['learned']} learned rate(s) forgotten")


async def _reset(settings: Settings, scope: Scope | None, name: str | None, learned: bool) -> dict[str, Any]:
    async with opened(settings) as database:
        if scope is None or name is None:
            return {"settings": 0, "learned": await forget_all(database.claims)}
        return dict(await reset_limit(database.claims, scope, name, learned_only=learned))
