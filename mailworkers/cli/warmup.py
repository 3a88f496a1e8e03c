"""`mailworkers warmup schedules · show · define · start · list · status · pause · resume · stop`"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, facts, print_json, span, table
from mailworkers.errors import WarmUpError
from mailworkers.settings import Settings
from mailworkers.warming import records
from mailworkers.warming.records import QuotaLine, ScheduleLine, Start, WarmUpLine
from mailworkers.warming.schedule import Schedule, Step, parse
from mailworkers.warming.senders import ALL_OTHERS, plain

STANDARD_STREAM = "-"
COLOURS = {"running": "green", "paused": "yellow", "halted": "red", "finished": "dim", "stopped": "dim"}

app = typer.Typer(help="Let a new sender begin with few mails a day.", no_args_is_help=True, rich_markup_mode="rich")

Sender = Annotated[str, typer.Argument(help="An address, or a domain for all addresses at it.", metavar="SENDER")]
AnySender = Annotated[str | None, typer.Argument(help="Only this one.", metavar="[SENDER]", show_default=False)]
ScheduleName = Annotated[str, typer.Argument(help="The schedule.", metavar="SCHEDULE")]
NewName = Annotated[str, typer.Argument(help="Letters, digits, dots, hyphens and underscores.", metavar="NAME")]
File = Annotated[
    Path, typer.Argument(help="CSV with the columns day,quota or day,group,quota; - reads it from standard input.")
]
By = Annotated[str, typer.Option("--schedule", "-s", help="How many mails on which day; see schedules.")]
TimeZone = Annotated[str, typer.Option("--time-zone", help="Whose midnight ends a day, as in Europe/Berlin.")]
On = Annotated[
    datetime | None,
    typer.Option(
        "--on",
        help="The date of day 1, by default today. Until then its mails wait.",
        formats=["%Y-%m-%d"],
        show_default=False,
    ),
]
Percent = Annotated[
    float, typer.Option("--refusals", help="Halt above so many percent of mails refused.", min=0.1, max=100)
]
Least = Annotated[int, typer.Option("--of-at-least", help="… once so many were tried.", min=1)]
HoldAll = Annotated[bool, typer.Option("--hold-all", help="Mails without a campaign wait for the quota, too.")]
Why = Annotated[str | None, typer.Option("--why", help="For those who look at it later.", show_default=False)]
Title = Annotated[str | None, typer.Option("--title", help="What it is for.", show_default=False)]
Source = Annotated[str | None, typer.Option("--source", help="Where its figures come from.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=10_000)]
Yes = Annotated[bool, typer.Option("--yes", help="Lift the limits without asking.")]


@app.command("schedules")
@with_settings()
def schedules(settings: Settings, *, as_json: Json = False) -> None:
    """List the schedules: those that providers publish, and those of one's own.

    [dim]$[/dim] mailworkers warmup schedules
    """
    lines = run_async(_schedules(settings), settings)
    if as_json:
        print_json(lines)
    else:
        console().print(
            table(("schedule", "days#", "first day#", "last day#", "for"), [_schedule_row(one) for one in lines])
        )


@app.command("show")
@with_settings()
def show(settings: Settings, *, name: ScheduleName, as_json: Json = False) -> None:
    """Show a schedule day by day. After its last day nothing is limited.

    [dim]$[/dim] mailworkers warmup show braze-moderate
    """
    line, schedule = run_async(_schedule(settings, name), settings)
    if as_json:
        days = [{"day": day, **_quotas(schedule, day)} for day in range(1, schedule.days + 1)]
        print_json(
            {"name": line.name, "title": line.title, "source": line.source, "shipped": line.shipped, "days": days}
        )
        return
    out = console()
    out.print(facts({"schedule": line.name, "for": escape(line.title), "source": escape(line.source or "one's own")}))
    out.print()
    columns = ("day#", *(f"{_group(group)}#" for group in schedule.groups))
    rows = [
        (str(day), *(f"{quota:,}" for quota in _quotas(schedule, day).values())) for day in range(1, schedule.days + 1)
    ]
    out.print(table(columns, rows))


@app.command("define")
@with_settings()
def define(
    settings: Settings,
    *,
    name: NewName,
    file: File,
    title: Title = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Define a schedule of one's own, or change one. Warm-ups that follow it have the new quotas at once.

    A line is a day and its quota; days that are left out repeat the one before. With a column group, a destination
    group can have a quota of its own, and * is for all the others together.

    [dim]$[/dim] printf 'day,quota\\n1,100\\n2,200\\n5,500\\n' | mailworkers warmup define mine -
    [dim]$[/dim] mailworkers warmup define mine ramp.csv --source 'agreed with the provider'
    """
    steps = _read(file)
    days = run_async(_define(settings, name, steps, title, source), settings)
    if as_json:
        print_json({"name": name, "days": days})
    else:
        console().print(f"Schedule {name} has {days} days.", markup=False)


@app.command("start")
@with_settings()
def start(  # noqa: PLR0913 -- a command's options are its arguments
    settings: Settings,
    *,
    sender: Sender,
    schedule: By,
    time_zone: TimeZone = "UTC",
    on: On = None,
    refusals: Percent = 5.0,
    of_at_least: Least = 50,
    hold_all: HoldAll = False,
    as_json: Json = False,
) -> None:
    """Begin to warm a sender up: each day it sends no more than the schedule says, and the rest waits for tomorrow.

    Start it before the sender's first mail. Campaigns wait; mails without a campaign, such as password resets, go out at
    once and count. Where too many mails are refused, it halts, and its mails wait for `warmup resume`.

    [dim]$[/dim] mailworkers warmup start news.example.org --schedule braze-moderate --time-zone Europe/Berlin
    [dim]$[/dim] mailworkers warmup start ann@example.org --schedule mine --refusals 3 --of-at-least 100
    """
    day_one = None if on is None else on.date()
    wanted = Start(sender, schedule, time_zone, day_one, refusals, of_at_least, hold_all)
    number, lines = run_async(_start(settings, wanted), settings)
    if as_json:
        print_json({"id": number, "sender": plain(sender), "schedule": schedule, "quotas": lines})
    else:
        console().print(_standing(lines))


@app.command("list")
@with_settings()
def list_(settings: Settings, *, limit: Limit = 100, as_json: Json = False) -> None:
    """List warm-ups, also those that are over, the newest first.

    [dim]$[/dim] mailworkers warmup list
    """
    lines = run_async(_list(settings, limit), settings)
    if as_json:
        print_json(lines)
    elif lines:
        columns = ("sender", "schedule", "status", "day 1", "time zone", "halts above", "changed", "why")
        console().print(table(columns, [_warm_up_row(one) for one in lines]))
    else:
        console().print("No sender has been warmed up: mailworkers warmup start")


@app.command("status")
@with_settings()
def status(settings: Settings, *, sender: AnySender = None, as_json: Json = False) -> None:
    """Show how warm-ups stand today: the day's quota, and what is used of it.

    [dim]$[/dim] mailworkers warmup status
    [dim]$[/dim] mailworkers warmup status news.example.org --json
    """
    lines = run_async(_status(settings, sender), settings)
    if sender is not None and not lines:
        raise WarmUpError(f"{plain(sender)} is not being warmed up", "See `mailworkers warmup list`")
    if as_json:
        print_json(lines)
    elif lines:
        console().print(_standing(lines))
    else:
        console().print("No sender is being warmed up.")


@app.command("pause")
@with_settings()
def pause(settings: Settings, *, sender: Sender, why: Why = None) -> None:
    """Hold a sender's mails of campaigns until `resume`, with --hold-all at its start all of them. Its day does not go on meanwhile.

    [dim]$[/dim] mailworkers warmup pause news.example.org --why 'the list is being cleaned'
    """
    run_async(_pause(settings, sender, why), settings)
    told = f"{plain(sender)} is paused: its mails of campaigns wait for `mailworkers warmup resume`, with --hold-all the others too."
    console().print(told, markup=False)


@app.command("resume")
@with_settings()
def resume(settings: Settings, *, sender: Sender) -> None:
    """Go on with the day on which a warm-up was paused or halted.

    Refusals until now do not halt it again: first mend what they complain of. Mails that wait go on within ten minutes.

    [dim]$[/dim] mailworkers warmup resume news.example.org
    """
    console().print(_standing(run_async(_resume(settings, sender), settings)))


@app.command("stop")
@with_settings()
def stop(settings: Settings, *, sender: Sender, why: Why = None, yes: Yes = False) -> None:
    """End a warm-up before its last day: from then on nothing limits the sender. To hold its mails, `pause` it.

    Mails that wait for tomorrow go tomorrow.

    [dim]$[/dim] mailworkers warmup stop news.example.org --yes
    """
    if not yes and not _agreed(sender):
        raise WarmUpError(
            f"stopping lifts the limits of {plain(sender)}: nothing was changed",
            "Say --yes, or hold its mails with `mailworkers warmup pause`",
        )
    run_async(_stop(settings, sender, why), settings)
    console().print(f"The warm-up of {plain(sender)} has ended: nothing limits it any more.", markup=False)


def _agreed(sender: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(f"From now on nothing will limit {plain(sender)}. Stop its warm-up?")


async def _schedules(settings: Settings) -> list[ScheduleLine]:
    async with opened(settings, READONLY) as database:
        return await records.list_schedules(database.claims)


async def _schedule(settings: Settings, name: str) -> tuple[ScheduleLine, Schedule]:
    async with opened(settings, READONLY) as database:
        return await records.read_schedule(database.claims, name)


async def _define(settings: Settings, name: str, steps: list[Step], title: str | None, source: str | None) -> int:
    async with opened(settings) as database:
        return await records.define(database, name, steps, title, source)


async def _start(settings: Settings, wanted: Start) -> tuple[int, list[QuotaLine]]:
    async with opened(settings) as database:
        number = await records.start(database, wanted)
        return number, await records.read_status(database.claims, wanted.sender)


async def _list(settings: Settings, limit: int) -> list[WarmUpLine]:
    async with opened(settings, READONLY) as database:
        return await records.list_warm_ups(database.claims, limit, live=False)


async def _status(settings: Settings, sender: str | None) -> list[QuotaLine]:
    async with opened(settings, READONLY) as database:
        return await records.read_status(database.claims, sender)


async def _pause(settings: Settings, sender: str, why: str | None) -> None:
    async with opened(settings) as database:
        await records.pause(database, sender, why)


async def _resume(settings: Settings, sender: str) -> list[QuotaLine]:
    async with opened(settings) as database:
        await records.resume(database, sender)
        return await records.read_status(database.claims, sender)


async def _stop(settings: Settings, sender: str, why: str | None) -> None:
    async with opened(settings) as database:
        await records.stop(database, sender, why)


def _read(path: Path) -> list[Step]:
    if str(path) == STANDARD_STREAM:
        return parse(sys.stdin, "standard input")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse(file, str(path))
    except OSError as problem:
        raise WarmUpError(f"cannot read {path}: {problem.strerror}") from None


def _quotas(schedule: Schedule, day: int) -> dict[str, int]:
    return {group: schedule.quota(day, group) or 0 for group in schedule.groups}


def _group(name: str) -> str:
    return "all others" if name == ALL_OTHERS else name


def _schedule_row(line: ScheduleLine) -> tuple[str, ...]:
    return (escape(line.name), str(line.days), f"{line.first_day:,}", f"{line.last_day:,}", escape(line.title))


def _warm_up_row(line: WarmUpLine) -> tuple[str, ...]:
    age = (datetime.now(UTC) - line.changed_at).total_seconds()
    return (
        escape(line.sender), escape(line.schedule), f"[{COLOURS[line.status]}]{line.status}[/]", f"{line.started_on}",
        escape(line.time_zone), f"{line.refusals_percent:g} % of {line.refusals_least:,}", f"{span(max(0.0, age))} ago",
        escape(line.why or ""),
    )  # fmt: skip


def _standing(lines: list[QuotaLine]) -> RenderableType:
    columns = ("sender", "status", "day", "to", "quota#", "granted#", "sent#", "refused#", "next day in#")
    reasons = dict.fromkeys(f"! {one.sender}: {one.why}" for one in lines if one.why)
    return Group(
        table(columns, [_quota_row(one) for one in lines]), *(Text(reason, style="yellow") for reason in reasons)
    )


def _quota_row(line: QuotaLine) -> tuple[str, ...]:
    left = (line.next_day_at - datetime.now(UTC)).total_seconds()
    return (
        escape(line.sender),
        f"[{COLOURS[line.status]}]{line.status}[/]",
        _day(line.day, line.last_day, line.on_date),
        escape(_group(line.destination_group)),
        f"{line.quota:,}",
        f"{line.granted:,}",
        f"{line.sent:,}",
        f"{line.refused:,}",
        span(max(0.0, left)),
    )


def _day(day: int, last_day: int, on_date: date) -> str:
    return f"{day} of {last_day}" if day >= 1 else f"begins in {1 - day} d (today is {on_date})"
