"""What watching a campaign shows: a live screen on a terminal, a line now and then elsewhere, and one exact line at its end."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mailworkers.campaigns.moments import here
from mailworkers.campaigns.progress import Progress
from mailworkers.campaigns.watching import Sight
from mailworkers.cli.campaign_screen import outcomes_told, state
from mailworkers.cli.output import console, span

PLAIN_LINE_SECONDS = 2.0  # how often a line tells the progress where nothing can move
BAR_WIDTH = 36


class WatchScreen:
    """Use it as a context manager. `quiet` where something else prints."""

    def __init__(self, *, quiet: bool) -> None:
        self._out = console()
        live = not quiet and sys.stdout.isatty()
        self._live = Live(console=self._out, auto_refresh=False, transient=True) if live else None
        self._told = 0.0
        self._said: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, sight: Sight) -> None:
        """The latest look. The one at which it has ended is not for here."""
        if sight.ended is not None:
            return
        if self._live is not None:
            self._live.update(_screen(sight), refresh=True)
            return
        now = time.monotonic()
        urgent = (sight.campaign.status, sight.holds)
        if urgent != self._said or (sight.changed and now - self._told >= PLAIN_LINE_SECONDS):
            self._said, self._told = urgent, now
            self._out.print(_line(sight), markup=False, soft_wrap=True)
            self._out.file.flush()


def last_line(sight: Sight) -> str:
    """How it ended, exactly."""
    campaign = sight.campaign
    return f"{escape(_name(campaign))} {state(campaign.status)}{_after(campaign)}: {outcomes_told(campaign)}" + (
        f", of {campaign.made:,}" if campaign.made else ", nothing was made"
    )


def _after(campaign: Progress) -> str:
    if campaign.finished_at is None or campaign.started_at is None:
        return ""
    return f" after {span((campaign.finished_at - campaign.started_at).total_seconds())}"


def _line(sight: Sight) -> str:
    campaign = sight.campaign
    parts = [campaign.status, f"{_share(campaign)}{outcomes_told(campaign)}"]
    if sight.rate is not None:
        parts.append(f"{sight.rate:,.0f} mails/s")
    if sight.ends_at is not None:
        parts.append(f"ends in about {_left(sight.ends_at)}")
    return f"{_name(campaign)}: {', '.join(parts)}" + "".join(f"; {hold}" for hold in sight.holds)


def _screen(sight: Sight) -> RenderableType:
    campaign = sight.campaign
    head = Text.from_markup(f"[bold]{escape(_name(campaign))}[/bold] {state(campaign.status)}")
    bar = Table.grid(padding=(0, 1))
    share = campaign.done / campaign.expected if campaign.expected else 0.0
    of = "counting" if campaign.expected is None else f"{campaign.done:,} of {campaign.expected:,}"
    bar.add_row(ProgressBar(total=1.0, completed=min(1.0, share), width=BAR_WIDTH), f"{share:.1%}", of)
    counts = [("waiting", campaign.live)] + [
        (name, getattr(campaign, name))
        for name in ("sent", "failed", "abandoned", "cancelled", "suppressed", "unknown")
    ]
    listed = Text("   ").join(Text.assemble((f"{count:,}", "bold"), f" {name}") for name, count in counts if count)
    pace = [f"{sight.rate:,.0f} mails/s"] if sight.rate is not None else []
    if sight.ends_at is not None:
        pace.append(f"ends at {here(sight.ends_at):%H:%M:%S}, in about {_left(sight.ends_at)}")
    lines: list[RenderableType] = [head, bar, listed, Text("   ".join(pace))]
    return Group(
        *lines,
        *(Text(f"! {hold}", style="yellow") for hold in sight.holds),
        Text("Ctrl-C leaves it running.", style="dim"),
    )


def _name(campaign: Progress) -> str:
    return f"campaign {campaign.campaign_id} {campaign.name}"


def _share(campaign: Progress) -> str:
    if campaign.expected is None:
        return ""
    return f"{campaign.done:,} of {campaign.expected:,} done, " if campaign.expected else ""


def _left(ends_at: datetime) -> str:
    return span(max(0.0, (ends_at - datetime.now(UTC)).total_seconds()))
