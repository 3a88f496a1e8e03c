"""`mailworkers campaign create · edit · start · pause · resume · cancel · remove · list · show`; the others are in campaign_*.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from mailworkers.campaigns import life, progress
from mailworkers.campaigns.finding import find
from mailworkers.campaigns.life import Plan
from mailworkers.campaigns.moments import here, told
from mailworkers.campaigns.progress import Campaign, Progress
from mailworkers.cli import campaign_letters, campaign_segments, campaign_watch
from mailworkers.cli import campaign_options as given
from mailworkers.cli.campaign_screen import campaign_facts, campaigns_table
from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.files import read_object
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json
from mailworkers.db.pool import Database
from mailworkers.errors import CampaignError
from mailworkers.settings import Settings

app = typer.Typer(help="Write to many leads at once: one mail for each.", no_args_is_help=True, rich_markup_mode="rich")

NewName = Annotated[str | None, typer.Option("--name", help="Another name.", show_default=False)]
Status = Annotated[
    Literal["draft", "scheduled", "running", "paused", "cancelling", "cancelled", "finished", "stopped"] | None,
    typer.Option("--status", help="Only campaigns in this state."),
]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=1000)]
LOOKED_AT = 10_000  # campaigns, newest first, for those of one state


@app.command("create")
@with_settings()
def create(  # noqa: PLR0913 -- a command's options are its arguments
    settings: Settings,
    *,
    name: given.Name,
    template: given.TemplateName,
    workspace: given.Workspace = "default",
    list_name: given.ListName = None,
    segment: given.SegmentName = None,
    where: given.Where = None,
    filter_: given.Filter = None,
    data: given.Data = None,
    sender: given.From = None,
    reply_to: given.ReplyTo = None,
    header: given.Header = None,
    priority: given.Priority = None,
    max_retries: given.MaxRetries = None,
    at: given.At = None,
    start: given.StartNow = False,
    as_json: Json = False,
) -> None:
    """Create a campaign: one mail for each lead of a list, a segment or a filter, or for all leads of the workspace.

    It is a draft, which `check` and `preview` look at, until it is started here with --start or --at, or by `start`. Of
    --list, --segment, --where and --filter, all must hold. A lead's own variables go before those of --data.

    [dim]$[/dim] mailworkers campaign create november --template newsletter --list readers --data november.json
    [dim]$[/dim] mailworkers campaign create bonn --template meeting --where city=Bonn --where 'age>=18' --at '2026-12-01 09:00'
    [dim]$[/dim] mailworkers campaign create all --template notice@3 --from 'The Shop <shop@example.org>' --start
    """
    address = given.sender_given(sender)
    plan = Plan(
        name, template, workspace, list_name, segment, given.filter_given(where, filter_),
        {} if data is None else read_object(data), address.email or None, address.name or None, reply_to,
        given.headers_given(header), life.DEFAULT_PRIORITY if priority is None else priority,
        life.DEFAULT_RETRIES if max_retries is None else max_retries, given.start_given(at, now=start, instead="Nothing was created: give --start in place of --at to start it now"),
    )  # fmt: skip

    async def make(database: Database) -> int:
        return await life.create(database, plan)

    _tell(run_async(_acting(settings, make), settings), as_json=as_json)


@app.command("edit")
@with_settings()
def edit(  # noqa: PLR0913 -- as above
    settings: Settings,
    *,
    campaign: given.Called,
    workspace: given.Workspace = "default",
    name: NewName = None,
    template: given.OtherTemplate = None,
    list_name: given.ListName = None,
    segment: given.SegmentName = None,
    where: given.Where = None,
    filter_: given.Filter = None,
    data: given.Data = None,
    sender: given.From = None,
    reply_to: given.ReplyTo = None,
    header: given.Header = None,
    priority: given.Priority = None,
    max_retries: given.MaxRetries = None,
    at: given.At = None,
    unset: given.Unset = None,
    as_json: Json = False,
) -> None:
    """Change a campaign that is a draft, scheduled, paused or stopped.

    Of one that has started, mails that are made already and not in flight change with it; whom it goes to stays. --data
    and --header replace all that was there.

    [dim]$[/dim] mailworkers campaign edit november --template newsletter@4
    [dim]$[/dim] mailworkers campaign edit 7 --data november.json --reply-to answers@example.org
    [dim]$[/dim] mailworkers campaign edit 7 --unset list --where plan=pro
    """
    changes = given.changes_given(
        name=name, template=template, list_name=list_name, segment=segment, where=where, filter_=filter_, data=data,
        sender=sender, reply_to=reply_to, header=header, priority=priority, max_retries=max_retries, at=at, unset=unset,
    )  # fmt: skip

    async def change(database: Database, number: int) -> None:
        if "start_at" in changes:
            await _require_scheduled(database, number)
        await life.edit(database, number, changes)

    _act(settings, workspace, campaign, change, as_json=as_json)


@app.command("start")
@with_settings()
def start(
    settings: Settings,
    *,
    campaign: given.Called,
    workspace: given.Workspace = "default",
    at: given.At = None,
    as_json: Json = False,
) -> None:
    """Start a draft now, or at a time. Whom it goes to and which version of its letter are fixed when it starts.

    [dim]$[/dim] mailworkers campaign start november
    [dim]$[/dim] mailworkers campaign start november --at '2026-12-01 09:00 Europe/Berlin'
    """
    moment = given.start_given(at, now=False, instead="Leave --at out to start it now")
    _act(settings, workspace, campaign, lambda database, number: life.start(database, number, moment), as_json=as_json)


@app.command("pause")
@with_settings()
def pause(
    settings: Settings, *, campaign: given.Called, workspace: given.Workspace = "default", as_json: Json = False
) -> None:
    """Send nothing more of a campaign but what is in flight, until `resume`.

    [dim]$[/dim] mailworkers campaign pause november
    """
    _act(settings, workspace, campaign, life.pause, as_json=as_json)


@app.command("resume")
@with_settings()
def resume(
    settings: Settings, *, campaign: given.Called, workspace: given.Workspace = "default", as_json: Json = False
) -> None:
    """Go on with a campaign that is paused or has stopped.

    [dim]$[/dim] mailworkers campaign resume november
    """
    _act(settings, workspace, campaign, life.resume, as_json=as_json)


@app.command("cancel")
@with_settings()
def cancel(
    settings: Settings, *, campaign: given.Called, workspace: given.Workspace = "default", as_json: Json = False
) -> None:
    """End a campaign for good: what is in flight goes out, all else is recorded as cancelled.

    [dim]$[/dim] mailworkers campaign cancel november
    """
    _act(settings, workspace, campaign, life.cancel, as_json=as_json)


@app.command("remove")
@with_settings()
def remove(
    settings: Settings, *, campaign: given.Called, workspace: given.Workspace = "default", as_json: Json = False
) -> None:
    """Forget a campaign that never started. One that did stays in the record.

    [dim]$[/dim] mailworkers campaign remove november
    """
    gone = run_async(_remove(settings, workspace, campaign), settings)
    if as_json:
        print_json({"campaign_id": gone.campaign_id, "name": gone.name, "removed": True})
    else:
        console().print(f"Removed campaign {gone.campaign_id} {gone.name}.", markup=False)


@app.command("list")
@with_settings()
def list_(
    settings: Settings,
    *,
    workspace: given.AnyWorkspace = None,
    status: Status = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the newest campaigns, and how far they are.

    [dim]$[/dim] mailworkers campaign list
    [dim]$[/dim] mailworkers campaign list --workspace acme --status running --json | jq '.[].sent'
    """
    lines = run_async(_list(settings, workspace, status, limit), settings)
    if as_json:
        print_json(lines)
    elif lines:
        console().print(campaigns_table(lines, datetime.now(UTC)))
    else:
        console().print("No such campaigns." if workspace or status else "No campaigns yet.")


@app.command("show")
@with_settings()
def show(
    settings: Settings, *, campaign: given.Called, workspace: given.Workspace = "default", as_json: Json = False
) -> None:
    """Show what a campaign is and how far it is.

    [dim]$[/dim] mailworkers campaign show november
    """
    found, far = run_async(_show(settings, workspace, campaign), settings)
    if as_json:
        print_json({**asdict(found), **asdict(far)})
    else:
        console().print(campaign_facts(found, far, datetime.now(UTC)))


campaign_letters.add_to(app)
campaign_watch.add_to(app)
campaign_segments.add_to(app)


def _act(
    settings: Settings,
    workspace: str,
    called: str,
    act: Callable[[Database, int], Awaitable[None]],
    *,
    as_json: bool,
) -> None:
    async def acted(database: Database) -> int:
        campaign = await find(database.claims, workspace, called)
        await act(database, campaign.campaign_id)
        return campaign.campaign_id

    _tell(run_async(_acting(settings, acted), settings), as_json=as_json)


async def _acting(settings: Settings, act: Callable[[Database], Awaitable[int]]) -> Progress:
    """How it is after the act."""
    async with opened(settings) as database:
        far = await progress.read(database.claims, await act(database))
        assert far is not None
        return far


async def _require_scheduled(database: Database, number: int) -> None:
    """A draft with a moment would be none that starts then."""
    campaign = await progress.show(database.claims, number)
    if campaign is not None and campaign.status == "draft":
        raise CampaignError(
            f"campaign {number} is a draft", f"`mailworkers campaign start {number} --at` says when it starts"
        )


async def _remove(settings: Settings, workspace: str, called: str) -> Campaign:
    async with opened(settings) as database:
        campaign = await find(database.claims, workspace, called)
        if not await life.remove(database, campaign.campaign_id):
            raise CampaignError(
                f"campaign {campaign.campaign_id} has started: it stays in the record",
                f"`mailworkers campaign cancel {campaign.campaign_id}` ends it",
            )
        return campaign


async def _list(settings: Settings, workspace: str | None, status: str | None, limit: int) -> list[Progress]:
    async with opened(settings, READONLY) as database:
        looked_at = limit if status is None else LOOKED_AT
        lines = await progress.list_campaigns(database.claims, workspace, looked_at)
        return [line for line in lines if status in (None, line.status)][:limit]


async def _show(settings: Settings, workspace: str, called: str) -> tuple[Campaign, Progress]:
    async with opened(settings, READONLY) as database:
        campaign = await find(database.claims, workspace, called)
        far = await progress.read(database.claims, campaign.campaign_id)
        assert far is not None
        return campaign, far


def _tell(far: Progress, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "campaign_id": far.campaign_id, "workspace": far.workspace, "name": far.name, "status": far.status,
                "start_at": far.start_at,
            }
        )  # fmt: skip
        return
    number = far.campaign_id
    match far.status:
        case "draft":
            now = f"is a draft. Look at it with `mailworkers campaign check {number}`, then `mailworkers campaign start {number}`."
        case "scheduled" if far.start_at is not None:
            now = f"starts at {told(here(far.start_at))}."
        case "running":
            now = f"is running. See `mailworkers campaign watch {number}`."
        case "cancelling":
            now = "is being cancelled."
        case status:
            now = f"is {status}."
    console().print(f"Campaign {number} {far.name} {now}", markup=False, soft_wrap=True)
