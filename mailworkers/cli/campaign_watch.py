"""`mailworkers campaign watch · failures`"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from mailworkers.campaigns import progress
from mailworkers.campaigns.failures import NotSent, failures
from mailworkers.campaigns.finding import find
from mailworkers.campaigns.watching import Ended, Sight, watch
from mailworkers.cli import campaign_options as given
from mailworkers.cli.campaign_screen import state
from mailworkers.cli.campaign_watch_screen import WatchScreen, last_line
from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, plain, print_json, say, table
from mailworkers.errors import EX_FAILED, CampaignError
from mailworkers.settings import Settings

Csv = Annotated[bool, typer.Option("--csv", help="All of them as CSV: lead, email, status, attempts, code, reply.")]
Limit = Annotated[int, typer.Option("--limit", help="At most so many in a table or as JSON.", min=1, max=100_000)]


def add_to(app: typer.Typer) -> None:
    """Give the application these commands."""
    app.command("watch")(watch_)
    app.command("failures")(failures_)


@with_settings()
def watch_(
    settings: Settings, *, campaign: given.Called, workspace: given.Workspace = "default", as_json: Json = False
) -> None:
    """Follow a campaign until it ends: counts by outcome, mails a second, the estimated end, and what holds it.

    The last line is exact. Exit code 0 when it has finished, 1 when it was cancelled, 65 when it has stopped. Ctrl-C ends
    the watching, not the campaign. With --json, one object a line each time something has changed.

    [dim]$[/dim] mailworkers campaign watch november
    [dim]$[/dim] mailworkers campaign watch november --json | jq --unbuffered .sent
    """
    last = run_async(_watch(settings, workspace, campaign, as_json=as_json), settings)
    if not as_json:
        console().print(last_line(last), soft_wrap=True)
    match last.ended:
        case Ended.CANCELLED:
            raise typer.Exit(EX_FAILED)
        case Ended.STOPPED:
            why = last.campaign.why or "nobody says why"
            raise CampaignError(
                f"campaign {last.campaign.campaign_id} has stopped: {why.rstrip('.')}",
                f"Mend it, then run `mailworkers campaign resume {last.campaign.campaign_id}`",
            )


@with_settings()
def failures_(
    settings: Settings,
    *,
    campaign: given.Called,
    workspace: given.Workspace = "default",
    as_csv: Csv = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List the leads whose mail was not sent, and why, in the order in which they ended.

    `mailworkers jobs retry` sends one of them again.

    [dim]$[/dim] mailworkers campaign failures november
    [dim]$[/dim] mailworkers campaign failures november --csv > failures.csv
    """
    if as_csv and as_json:
        raise typer.BadParameter("give --csv or --json, not both")
    if as_csv:
        run_async(_print_csv(settings, workspace, campaign), settings)
        return
    found, more = run_async(_first(settings, workspace, campaign, limit), settings)
    if as_json:
        print_json(found)
    elif found:
        columns = ("lead#", "email", "status", "tries#", "code#", "why", "job#")
        console().print(table(columns, [_row(one) for one in found]))
    else:
        console().print("No mail of it has ended without being sent.")
    if more and not as_json:
        say(f"these are the first {limit:,}; --csv prints all of them")


async def _watch(settings: Settings, workspace: str, called: str, *, as_json: bool) -> Sight:
    async with opened(settings, READONLY) as database:
        campaign = await find(database.claims, workspace, called)
        last: Sight | None = None
        with WatchScreen(quiet=as_json) as screen:
            async for last in watch(database, settings, campaign.campaign_id):
                if not as_json:
                    screen.show(last)
                elif last.changed or last.ended is not None:
                    print(json.dumps(_as_json(last), default=plain, ensure_ascii=False), flush=True)  # noqa: T201
        assert last is not None
        return last


def _as_json(sight: Sight) -> dict[str, Any]:
    rate = None if sight.rate is None else round(sight.rate, 1)
    return {
        **asdict(sight.campaign),
        "done": sight.campaign.done,
        "rate": rate,
        "ends_at": sight.ends_at,
        "holds": sight.holds,
    }


async def _failures(settings: Settings, workspace: str, called: str) -> AsyncGenerator[NotSent, None]:
    async with opened(settings, READONLY) as database:
        campaign = await find(database.claims, workspace, called)
        far = await progress.read(database.claims, campaign.campaign_id)
        async for one in failures(database.claims, campaign.campaign_id, None if far is None else far.started_at):
            yield one


async def _first(settings: Settings, workspace: str, called: str, limit: int) -> tuple[list[NotSent], bool]:
    """The first so many, and whether there are more."""
    found: list[NotSent] = []
    walk = _failures(settings, workspace, called)
    try:
        async for one in walk:
            if len(found) == limit:
                return found, True
            found.append(one)
    finally:
        await walk.aclose()
    return found, False


async def _print_csv(settings: Settings, workspace: str, called: str) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("lead", "email", "status", "attempts", "code", "reply"))
    async for one in _failures(settings, workspace, called):
        writer.writerow((one.lead_id, one.email, one.status, one.attempts, one.code, one.reply))


def _row(one: NotSent) -> tuple[str, ...]:
    return (
        str(one.lead_id), escape(one.email), state(one.status), str(one.attempts), "" if one.code is None else str(one.code),
        escape(" ".join(one.reply.split())), str(one.job_id),
    )  # fmt: skip
