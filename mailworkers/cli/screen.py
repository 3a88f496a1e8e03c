"""The one screen that `status` prints and `top` keeps up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from mailworkers import __version__
from mailworkers.cli.campaign_screen import under_way
from mailworkers.cli.limits_screen import lowered_table
from mailworkers.cli.output import facts, span, table
from mailworkers.queue.overview import DaemonLine, Overview, WorkerLine
from mailworkers.web.ask import LocalDaemon

MOST_WORKERS_SHOWN = 20
MOST_DAEMONS_SHOWN = 12


def screen(
    overview: Overview,
    schema: str,
    local: LocalDaemon | None = None,
    mails_per_second: float | None = None,
    campaign_rates: Mapping[int, float] | None = None,
    *,
    live: bool = False,
) -> RenderableType:
    """All of it, one part below the other; parts with nothing to say are left out.

    Args:
        overview: what was read.
        schema: its name.
        local: what the daemon on this host says of itself, where one answered.
        mails_per_second: the rate since the last look, where there was one.
        campaign_rates: the same of each campaign, by its number.
        live: it is looked at on a terminal that may cut it off: what is wrong stands first, what has ended is left out.
    """
    parts: list[RenderableType] = [
        Text.from_markup(
            f"[bold]mailworkers[/bold] {__version__} [dim]· schema {escape(schema)} {overview.schema_version} · {datetime.now(UTC):%H:%M:%S} UTC[/dim]"
        ),
    ]
    troubles = (
        (f"The daemon at {local.url} says" if local else "", _complaints(local)),
        ("Look at this", _warnings(overview)),
    )
    found = (
        ("", facts(_figures(overview, mails_per_second))),
        ("Campaigns", under_way(overview.campaigns, campaign_rates or {}, datetime.now(UTC))),
        ("Slowed because the relay asked for less", lowered_table(overview.lowered) if overview.lowered else None),
        ("Daemons", _daemons(overview, ended=not live)),
        ("Workers", _workers(overview)),
        ("Failures within the hour", _failures(overview)),
    )
    for title, content in (*troubles, *found) if live else (*found, *troubles):
        if content is not None:
            parts += [Text(), *([Text(title, style="bold")] if title else []), content]
    return Group(*parts)


def _figures(overview: Overview, mails_per_second: float | None) -> dict[str, str]:
    queue, figures = overview.queue, overview.figures
    about = "" if queue.exact else "about "
    oldest = span(queue.oldest_due_seconds) if queue.oldest_due_seconds is not None else "nothing is due"
    rows = {
        "queue": (
            f"{about}{queue.waiting:,} waiting · {queue.retrying:,} retrying · {queue.sending:,} sending · "
            f"{queue.paused:,} paused"
        ),
        "oldest due": oldest,
        "sent": (
            f"{figures.sent_last_minute:,} in the last minute · {figures.sent_last_hour:,} hour · "
            f"{figures.sent_last_day:,} day"
        ),
        "not sent": (
            f"{figures.failed_last_day:,} failed · {figures.abandoned_last_day:,} abandoned · "
            f"{figures.unknown_last_day:,} unknown in a day"
        ),
        "slowed": f"{figures.retried_last_hour:,} retried · {figures.snoozed_last_hour:,} throttled in an hour",
    }
    return rows if mails_per_second is None else {"speed": f"[bold]{mails_per_second:,.0f}[/bold] mails/s", **rows}


def _daemons(overview: Overview, *, ended: bool) -> RenderableType:
    if not overview.daemons:
        return Text("none has run on this database yet: mailworkers run", style="yellow")
    shown = [one for one in overview.daemons if ended or one.ended_at is None]
    if not shown:
        return Text("none is running: mailworkers run", style="yellow")
    rows = [
        (
            escape(one.name),
            escape(one.host),
            str(one.pid),
            _daemon_state(one),
            span(one.up) if one.ended_at is None else "",
            f"{span(one.renewed_ago)} ago",
            "session lock" if one.session_lock else "lease only",
            one.version,
        )
        for one in shown[:MOST_DAEMONS_SHOWN]
    ]
    return table(("name", "host", "pid#", "state", "up#", "renewed#", "proof of life", "version"), rows)


def _daemon_state(one: DaemonLine) -> str:
    if one.ended_at is not None:
        return f"[dim]ended: {escape(one.ended_why or '')}[/dim]"
    return "[green]alive[/green]" if one.alive else "[red]silent[/red]"


def _workers(overview: Overview) -> RenderableType | None:
    if not overview.workers:
        return None
    states = Counter(worker.state for worker in overview.workers)
    summary = Text(" · ".join(f"{count} {state}" for state, count in states.most_common()))
    rows = [_worker(one) for one in overview.workers[:MOST_WORKERS_SHOWN]]
    more = len(overview.workers) - len(rows)
    listed = table(("worker", "state", "sent#", "failed#", "per minute#", "connected#"), rows)
    return Group(summary, listed, *([Text(f"and {more} more", style="dim")] if more else []))


def _worker(one: WorkerLine) -> tuple[str, ...]:
    colour = {"sending": "cyan", "waiting": "yellow", "idle": "dim"}.get(one.state, "default")
    return (
        escape(one.name),
        f"[{colour}]{one.state}[/{colour}]",
        f"{one.sent:,}",
        f"{one.failed:,}",
        f"{one.per_minute:,.0f}",
        span(one.connected_for),
    )


def _failures(overview: Overview) -> RenderableType | None:
    if not overview.failures:
        return None
    rows = [
        (
            f"{one.times:,}",
            one.failure_class,
            " ".join(str(code) for code in (one.code, one.enhanced_code) if code),
            escape(" ".join(one.example.split())[:90]),
        )
        for one in overview.failures
    ]
    return table(("times#", "class", "code", "for example"), rows)


def _complaints(local: LocalDaemon | None) -> RenderableType | None:
    if local is None or not local.complaints:
        return None
    colours = {"fail": "red", "warn": "yellow"}
    lines = []
    for one in local.complaints:
        lines.append(Text(f"! {one.output or one.check}", style=colours.get(one.status, "default")))
        if one.action:
            lines.append(Text(f"  → {one.action}", style="dim"))
    return Group(*lines)


def _warnings(overview: Overview) -> RenderableType | None:
    if not overview.warnings:
        return None
    return Group(*(Text(f"! {sentence}", style="yellow") for sentence in overview.warnings))
