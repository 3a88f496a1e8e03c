"""`mailworkers campaign check · preview`"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mailworkers.campaigns.audience import chunks, target_of
from mailworkers.campaigns.checking import Checked, Reject, check
from mailworkers.campaigns.composing import letter_of
from mailworkers.campaigns.finding import find
from mailworkers.campaigns.previewing import Preview, preview
from mailworkers.campaigns.progress import Campaign
from mailworkers.cli import campaign_options as given
from mailworkers.cli.campaign_check_screen import CheckScreen, summary
from mailworkers.cli.database import opened
from mailworkers.cli.files import writable, write_bytes
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json, say
from mailworkers.errors import EX_FAILED, CampaignError
from mailworkers.mail.row import SenderDefaults
from mailworkers.settings import Settings

Out = Annotated[
    Path | None,
    typer.Option("--out", help="The .eml file; by default preview-<campaign>-<lead>.eml.", show_default=False),
]
AsText = Annotated[bool, typer.Option("--text", help="Print the text part instead.")]
AsHtml = Annotated[bool, typer.Option("--html", help="Print the HTML part instead.")]


def add_to(app: typer.Typer) -> None:
    """Give the application these commands."""
    app.command("check")(check_)
    app.command("preview")(preview_)


@with_settings("from_email", "from_name")
def check_(
    settings: Settings,
    *,
    campaign: given.Called,
    workspace: given.Workspace = "default",
    rejects: given.Rejects = None,
    as_json: Json = False,
) -> None:
    """Render and compose a campaign's mail for every one of its leads, and send none.

    Tells which leads would get no mail and why: a variable that they lack, a line end in a name, an address that no mail
    can carry. Exit code 1 where there are such leads.

    [dim]$[/dim] mailworkers campaign check november
    [dim]$[/dim] mailworkers campaign check november --rejects rejects.csv
    """
    screen = CheckScreen()
    try:
        found, checked = run_async(_check(settings, workspace, campaign, rejects, screen.progressed), settings)
    finally:
        screen.close()
    if as_json:
        print_json(_as_json(found, checked, rejects))
    else:
        console().print(summary(found, checked, rejects))
    if checked.failed:
        raise typer.Exit(EX_FAILED)


@with_settings("from_email", "from_name")
def preview_(  # noqa: PLR0913 -- a command's options are its arguments
    settings: Settings,
    *,
    campaign: given.Called,
    lead: given.LeadArgument,
    workspace: given.Workspace = "default",
    out: Out = None,
    text: AsText = False,
    html: AsHtml = False,
    as_json: Json = False,
) -> None:
    """Write what one lead would get as a file that a mail client opens, or print a part of it.

    It is the mail as it would leave, with its headers.

    [dim]$[/dim] mailworkers campaign preview november ann@example.org
    [dim]$[/dim] mailworkers campaign preview november ann@example.org --text
    [dim]$[/dim] mailworkers campaign preview november 4711 --html > letter.html
    """
    if text + html + as_json > 1:
        raise typer.BadParameter("give one of --text, --html and --json")
    found, shown = run_async(_preview(settings, workspace, campaign, lead), settings)
    if shown.why_not:
        say(f"lead {shown.lead.lead_id} would get no mail: {shown.why_not}")
    if text or html:
        part = shown.message.text_body if text else shown.message.html_body
        if part is None:
            raise CampaignError(f"template {shown.template} has no {'text' if text else 'HTML'}")
        print(part, end="" if part.endswith("\n") else "\n")  # noqa: T201 -- as it is, whatever it holds
        return
    path = out or (None if as_json else Path(f"preview-{found.campaign_id}-{shown.lead.lead_id}.eml"))
    if path is not None:
        write_bytes(path, shown.content)
    if as_json:
        print_json(_preview_as_json(found, shown, path))
    else:
        message = shown.message
        console().print(
            f"Wrote {path}: to {message.to.email}, from {message.sender.email}, {message.subject!r}, {len(shown.content):,} bytes.",
            markup=False, soft_wrap=True,
        )  # fmt: skip


async def _check(
    settings: Settings, workspace: str, called: str, rejects: Path | None, told: Callable[[Checked], None]
) -> tuple[Campaign, Checked]:
    with writable(rejects, "--rejects") as file:
        writer = None if file is None else csv.writer(file, lineterminator="\n")
        if writer is not None:
            writer.writerow(("lead", "email", "reason"))

        def rejected(reject: Reject) -> None:
            if writer is not None:
                writer.writerow((reject.lead_id, reject.email, reject.reason))

        async with opened(settings) as database:
            campaign = await find(database.claims, workspace, called)
            target = await target_of(database, campaign.campaign_id)
            letter = await letter_of(database.claims, campaign, _sender(settings))
            return campaign, await check(letter, chunks(database.claims, target), told, rejected)


async def _preview(settings: Settings, workspace: str, called: str, lead: str) -> tuple[Campaign, Preview]:
    async with opened(settings) as database:
        campaign = await find(database.claims, workspace, called)
        return campaign, await preview(database, campaign, lead, _sender(settings))


def _sender(settings: Settings) -> SenderDefaults:
    return SenderDefaults(settings.sender_email, settings.from_name)


def _as_json(campaign: Campaign, checked: Checked, rejects: Path | None) -> dict[str, Any]:
    return {
        "campaign_id": campaign.campaign_id,
        "name": campaign.name,
        "template": campaign.template,
        "leads": checked.leads,
        "failed": checked.failed,
        "seconds": round(checked.seconds, 3),
        "leads_per_second": round(checked.leads_per_second, 1),
        "reasons": [
            {
                "reason": reason,
                "leads": group.leads,
                "examples": [
                    {"lead_id": one.lead_id, "email": one.email, "reason": one.reason} for one in group.examples
                ],
            }
            for reason, group in checked.by_frequency()
        ],
        "rejects_file": None if rejects is None else str(rejects),
    }


def _preview_as_json(campaign: Campaign, shown: Preview, path: Path | None) -> dict[str, Any]:
    message = shown.message
    return {
        "campaign_id": campaign.campaign_id,
        "lead_id": shown.lead.lead_id,
        "template": shown.template,
        "to_email": message.to.email,
        "to_name": message.to.name,
        "from_email": message.sender.email,
        "from_name": message.sender.name,
        "subject": message.subject,
        "text_body": message.text_body,
        "html_body": message.html_body,
        "would_not_be_sent": shown.why_not or None,
        "file": None if path is None else str(path),
    }
