"""`mailworkers jobs list · show · retry · cancel · settle`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, facts, print_json, say, span, table
from mailworkers.errors import EX_FAILED, MailworkersError
from mailworkers.queue import change, records
from mailworkers.queue.change import Changed, Refused
from mailworkers.queue.records import JobLine, JobRecord, JobStatus, Listing, Wanted
from mailworkers.settings import Settings

app = typer.Typer(
    help="Look at single mails, run them again, cancel them, settle them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NOTHING: tuple[object, ...] = (None, "", [], {}, False)
ALL_JOBS = "mailworkers.email_job_status"  # the view, for what a list does not reach
COLOURS = {
    "sent": "green",
    "sending": "cyan",
    "waiting": "",
    "retrying": "yellow",
    "paused": "yellow",
    "cancelled": "dim",
}

StateOption = Annotated[JobStatus | None, typer.Option("--status", help="Only jobs in this state.")]
Workspace = Annotated[str | None, typer.Option("--workspace", help="Only this workspace's jobs.")]
To = Annotated[str | None, typer.Option("--to", help="Only mails to this address, upper or lower case.")]
CampaignOption = Annotated[int | None, typer.Option("--campaign", help="Only mails with this campaign_id.")]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=1000)]
JobId = Annotated[int, typer.Argument(help="The job's number.", min=1)]
PerhapsSent = Annotated[
    bool, typer.Option("--even-if-perhaps-sent", help="Also a job whose end is unknown: it may go out twice.")
]
Sent = Annotated[bool, typer.Option("--sent", help="It arrived: the record calls it sent.")]
ToRetry = Annotated[bool, typer.Option("--retry", help="It did not arrive: it is sent again.")]


@app.command("list")
@with_settings()
def list_(
    settings: Settings,
    *,
    status: StateOption = None,
    workspace: Workspace = None,
    to: To = None,
    campaign: CampaignOption = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List the newest jobs, live and ended.

    It looks back for at most five seconds, some hundred thousand jobs, so that it stays quick on any database, and says
    where that was not far enough. Older ones are in the tables: SELECT * FROM mailworkers.email_job_status WHERE …

    [dim]$[/dim] mailworkers jobs list --status failed
    [dim]$[/dim] mailworkers jobs list --to ann@example.org --limit 5
    [dim]$[/dim] mailworkers jobs list --status retrying --json | jq '.[].job_id'
    """
    found = run_async(_list(settings, Wanted(status, workspace, to, limit, campaign)), settings)
    lines = found.lines
    if as_json:
        print_json(lines)
    elif lines:
        columns = ("job#", "status", "to", "subject", "tries#", "when", "reply")
        console().print(table(columns, [_row(line) for line in lines]))
    else:
        console().print("No such jobs.")
    if found.cut:
        say(f"only the newest {found.looked_at:,} jobs were looked at; there may be more in {ALL_JOBS}")


@app.command("show")
@with_settings()
def show(settings: Settings, *, job_id: JobId, as_json: Json = False) -> None:
    """Show everything that is known of one job, with each failed attempt.

    [dim]$[/dim] mailworkers jobs show 4711
    """
    record = run_async(_read(settings, job_id), settings)
    if record is None:
        raise MailworkersError(f"there is no job {job_id}", "See `mailworkers jobs list`")
    if as_json:
        print_json({**record.columns, "live": record.live, "failed_attempts": record.attempts})
    else:
        _print_record(record)


@app.command("retry")
@with_settings()
def retry(
    settings: Settings, *, job_id: JobId, even_if_perhaps_sent: PerhapsSent = False, as_json: Json = False
) -> None:
    """Run a job again: at once where it waits for another try, from the start where it ended without being sent.

    It keeps its number and its Message-ID. A job that was sent is never sent again.

    [dim]$[/dim] mailworkers jobs retry 4711
    """
    _tell(run_async(_retry(settings, job_id, perhaps=even_if_perhaps_sent), settings), as_json=as_json)


@app.command("cancel")
@with_settings()
def cancel(settings: Settings, *, job_id: JobId, as_json: Json = False) -> None:
    """Cancel a job that is not being sent just now. `retry` brings it back.

    [dim]$[/dim] mailworkers jobs cancel 4711
    """
    _tell(run_async(_cancel(settings, job_id), settings), as_json=as_json)


@app.command("settle")
@with_settings()
def settle(
    settings: Settings, *, job_id: JobId, sent: Sent = False, to_retry: ToRetry = False, as_json: Json = False
) -> None:
    """Say how a mail of unknown end did end: --sent where it arrived, --retry where it did not.

    A mail that must go at most once becomes unknown when the relay had all of it and its answer was lost: it may have
    arrived, so it is never sent again by itself. Search the relay's log for its Message-ID, which begins with the message
    token that `jobs show` tells, or ask the recipient; then decide. The record keeps that a person settled it, and when. A
    job sent again keeps its number and its Message-ID, and begins with all its tries.

    [dim]$[/dim] mailworkers jobs list --status unknown           which of them wait for a decision
    [dim]$[/dim] mailworkers jobs settle 4711 --sent              it is in the relay's log
    [dim]$[/dim] mailworkers jobs settle 4711 --retry             the relay never had it
    """
    if sent == to_retry:
        raise typer.BadParameter("give either --sent or --retry: it arrived, or it did not")
    _tell(run_async(_settle(settings, job_id, sent=sent), settings), as_json=as_json)


async def _list(settings: Settings, wanted: Wanted) -> Listing:
    async with opened(settings, READONLY) as database:
        return await records.list_jobs(database.claims, wanted)


async def _read(settings: Settings, job_id: int) -> JobRecord | None:
    async with opened(settings, READONLY) as database:
        return await records.read_job(database.claims, job_id)


async def _retry(settings: Settings, job_id: int, *, perhaps: bool) -> Changed | Refused:
    async with opened(settings) as database:
        return await change.retry(database.claims, job_id, even_if_perhaps_sent=perhaps)


async def _cancel(settings: Settings, job_id: int) -> Changed | Refused:
    async with opened(settings) as database:
        return await change.cancel(database.claims, job_id)


async def _settle(settings: Settings, job_id: int, *, sent: bool) -> Changed | Refused:
    async with opened(settings) as database:
        return await change.settle(database.claims, job_id, sent=sent)


def _tell(outcome: Changed | Refused, *, as_json: bool) -> None:
    match outcome:
        case Refused(_, why, hint) if not as_json:
            raise MailworkersError(why, hint)
        case Refused(job_id, why, _):
            print_json({"job_id": job_id, "changed": False, "why": why})
            raise typer.Exit(EX_FAILED)
        case Changed(job_id, now) if as_json:
            print_json({"job_id": job_id, "changed": True, "now": now.value})
        case Changed(job_id, now):
            console().print(f"Job {job_id} {now.value}.")


def _row(line: JobLine) -> tuple[str, ...]:
    when = line.finished_at or line.scheduled_at
    ahead = (when - datetime.now(UTC)).total_seconds()
    return (
        str(line.job_id),
        coloured(line.status),
        escape(line.to_email or ""),
        escape(_cut(line.subject, 40)),
        str(line.attempts),
        f"in {span(ahead)}" if ahead > 0 else f"{span(-ahead)} ago",
        escape(_cut(line.reply, 60)),
    )


def coloured(status: str) -> str:
    """A state in its colour; red for what did not go well."""
    colour = COLOURS.get(status, "red")
    return f"[{colour}]{status}[/{colour}]" if colour else status


def _cut(text: str | None, width: int) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _print_record(record: JobRecord) -> None:
    out = console()
    known = {name: value for name, value in record.columns.items() if value not in NOTHING and name != "status"}
    shown = {name.replace("_", " "): escape(_plain(value)) for name, value in known.items()}
    out.print(facts({"status": coloured(record.status), **shown}))
    if record.attempts:
        rows = [
            (
                str(one.attempt),
                _plain(one.created_at),
                one.failure_class,
                one.stage or "",
                " ".join(str(code) for code in (one.code, one.enhanced_code) if code),
                escape(one.text),
                _plain(one.next_try_at) if one.next_try_at else "",
            )
            for one in record.attempts
        ]
        out.print()
        out.print(table(("try#", "at", "class", "stage", "code", "text", "next try"), rows, title="Failed attempts"))


def _plain(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)
