"""`mailworkers send`"""

from __future__ import annotations

import mimetypes
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mailworkers.campaigns.moments import moment
from mailworkers.cli.database import SENDER, WORKER, opened
from mailworkers.cli.files import read_object
from mailworkers.cli.jobs import coloured
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json
from mailworkers.errors import EX_FAILED, MailworkersError
from mailworkers.queue.follow import Followed, NotSentYet, Story, follow
from mailworkers.queue.insert import File, KeyUsed, NewMail, insert
from mailworkers.settings import Settings
from mailworkers.web.ask import ask_local_daemon

WAIT_SECONDS = 60.0  # a relay answers in a second or two; greylisting shows as a retry
ALREADY_THERE = "already-there"  # the outcome of a command that ran before with the same key

ToOption = Annotated[str, typer.Option("--to", help="The recipient, one address.")]
Cc = Annotated[list[str] | None, typer.Option("--cc", help="Who gets a copy; may be given again.")]
Bcc = Annotated[list[str] | None, typer.Option("--bcc", help="Who gets one unseen; may be given again.")]
Subject = Annotated[
    str | None, typer.Option("--subject", help="One line; a template brings its own.", show_default=False)
]
Text = Annotated[str | None, typer.Option("--text", help="The plain text; - reads it from standard input.")]
Html = Annotated[str | None, typer.Option("--html", help="The HTML; - reads it from standard input.")]
Attach = Annotated[list[Path] | None, typer.Option("--attach", help="A file to attach; may be given again.")]
From = Annotated[str | None, typer.Option("--from", help="The sender; by default FROM_EMAIL.")]
FromName = Annotated[str | None, typer.Option("--from-name", help="The sender's display name.")]
ReplyTo = Annotated[str | None, typer.Option("--reply-to", help="Where answers go.")]
Template = Annotated[
    str | None,
    typer.Option("--template", help="A stored letter instead of --text and --html.", metavar="NAME[@VERSION]"),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Its variables: a file with a JSON object; - reads standard input.")
]
At = Annotated[
    str | None,
    typer.Option("--at", help="Not before: a date and time in ISO 8601, on this machine's clock.", metavar="MOMENT"),
]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key sends one mail, however often the command runs."),
]
Campaign = Annotated[int | None, typer.Option("--campaign", help="A number of your own to group mails by.")]
Workspace = Annotated[str | None, typer.Option("--workspace", help="Whose mail it is.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for its end, and show it.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Wait so many seconds at most.", min=0.1)]
NowOption = Annotated[bool, typer.Option("--now", help="Run a daemon for as long as it takes to send it.")]


@with_settings("smtp_host", "smtp_port", "smtp_user", "smtp_tls")
def send(  # noqa: PLR0913 -- a command's options are its arguments
    settings: Settings,
    *,
    to: ToOption,
    cc: Cc = None,
    bcc: Bcc = None,
    subject: Subject = None,
    text: Text = None,
    html: Html = None,
    template: Template = None,
    data: Data = None,
    attach: Attach = None,
    sender: From = None,
    from_name: FromName = None,
    reply_to: ReplyTo = None,
    at: At = None,
    idempotency_key: Key = None,
    campaign: Campaign = None,
    workspace: Workspace = None,
    wait: Wait = True,
    timeout: Timeout = WAIT_SECONDS,
    now: NowOption = False,
    as_json: Json = False,
) -> None:
    """Send one mail: insert its job, then wait for what becomes of it.

    A running daemon sends it. Where none runs, `--now` runs one for this mail, with this command's settings; it takes
    other due mails along, as any daemon would.

    [dim]$[/dim] mailworkers send --to ann@example.org --subject Hello --text 'Hi Ann'
    [dim]$[/dim] echo 'see the attachment' | mailworkers send --to ann@example.org --subject Report --text - --attach report.pdf
    [dim]$[/dim] mailworkers send --to ann@example.org --template welcome --data ann.json --at '2026-12-24 18:00'
    [dim]$[/dim] mailworkers send --to ann@example.org --subject Test --text x --now --smtp-host 127.0.0.1 --smtp-port 1025
    """
    mail = NewMail(
        to_email=to,
        subject=subject,
        text_body=_content(text),
        html_body=_content(html),
        from_email=sender,
        from_name=from_name,
        reply_to=reply_to,
        attachments=tuple(_attachment(path) for path in attach or ()),
        cc=tuple(cc or ()),
        bcc=tuple(bcc or ()),
        scheduled_at=_moment(at, now=now),
        idempotency_key=idempotency_key,
        template=template,
        data=None if data is None else read_object(data),
        campaign_id=campaign,
        workspace_id=workspace,
    )
    waits = (wait or now) and at is None
    try:
        story, trouble = run_async(_send(settings, mail, timeout=timeout if waits else 0, now=now), settings)
    except KeyUsed as used:
        _tell_used(used, as_json=as_json)
    else:
        _tell(story, trouble, as_json=as_json, waited=waits)


async def _send(settings: Settings, mail: NewMail, *, timeout: float, now: bool) -> tuple[Story, str]:
    from mailworkers.daemon.briefly import running  # noqa: PLC0415 -- only where a daemon is asked for

    async with opened(settings, WORKER if now else SENDER) as database:
        job_id = await insert(database, mail)
        if not now:
            story = await follow(database.claims, job_id, timeout)
            waits = timeout and story.outcome is Followed.STILL_WAITING
            return story, await _trouble_told(settings) if waits else ""
        async with running(settings, database.dsn) as daemon:
            story = await follow(database.claims, job_id, timeout)
            return story, daemon.vitals.relay_problem or ""


async def _trouble_told(settings: Settings) -> str:
    """What the daemon on this host says that keeps mails from leaving."""
    local = await ask_local_daemon(settings)
    told = local.complaints if local else ()
    return next((one.output.rstrip(".") for one in told if one.status == "fail" and one.output), "")


def _tell(story: Story, trouble: str, *, as_json: bool, waited: bool) -> None:
    if as_json:
        print_json(
            {"job_id": story.job_id, "outcome": story.outcome.value, "status": story.status, "reply": story.reply}
        )
    else:
        reply = f": {story.reply}" if story.reply else ""
        console().print(f"Job {story.job_id} {coloured(story.status)}{reply}", markup=True)
    match story.outcome:
        case Followed.NOT_SENT:
            raise typer.Exit(EX_FAILED)
        case Followed.NO_DAEMON:
            why, hint = "no daemon is running", "Start `mailworkers run`, or send with --now"
        case Followed.STILL_WAITING if waited:
            why, hint = (
                trouble or "it was not its turn yet",
                "See `mailworkers status`, and whether `mailworkers doctor` finds a relay",
            )
        case Followed.WILL_RETRY:
            why, hint = (
                "its first attempt failed",
                f"See `mailworkers jobs show {story.job_id}`; the next try follows by itself",
            )
        case _:
            return
    raise NotSentYet(f"job {story.job_id} waits in the queue: {why}", hint)


def _tell_used(used: KeyUsed, *, as_json: bool) -> None:
    """There is such a mail already, which is what was wanted."""
    if as_json:
        print_json({"job_id": None, "outcome": ALREADY_THERE, "status": None, "reply": used.message})
    else:
        console().print(f"Nothing to do: {used.message}. {used.hint}.", markup=False)


def _moment(at: str | None, *, now: bool) -> datetime | None:
    """Not before. Raises CampaignError where it is no moment to come."""
    if at is not None and now:
        raise typer.BadParameter("give --at or --now, not both")
    return None if at is None else moment(at, datetime.now().astimezone(), "Leave out --at to send it at once")


def _content(given: str | None) -> str | None:
    return sys.stdin.read() if given == "-" else given


def _attachment(path: Path) -> File:
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise MailworkersError(f"cannot attach {path}: {problem.strerror}") from None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(path.name, kind, content)
