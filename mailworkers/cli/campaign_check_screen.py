"""What a check shows: a progress bar on a terminal, lines elsewhere, and at its end who would get no mail and why."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from mailworkers.campaigns.checking import Checked
from mailworkers.campaigns.progress import Campaign
from mailworkers.cli.output import say, span

PLAIN_LINE_SECONDS = 2.0  # how often a line tells the progress where no bar can
BAR_SECONDS = 0.1  # more often nobody can read it
REASONS_SHOWN = 20


class CheckScreen:
    """Tells one person how a check goes, on standard error."""

    def __init__(self) -> None:
        self._out = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown = 0.0

    def progressed(self, checked: Checked) -> None:
        """It began, or went on."""
        now = time.monotonic()
        if not self._shown:
            self._shown = now
            self._begin()
        elif self._bar is not None and now - self._shown >= BAR_SECONDS:
            self._shown = now
            self._bar.update(self._task, completed=checked.share, told=_told(checked))
        elif self._bar is None and now - self._shown >= PLAIN_LINE_SECONDS:
            self._shown = now
            say(_told(checked))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _begin(self) -> None:
        if self._out.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=36),
                TaskProgressColumn(),
                TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(),
                console=self._out,
                transient=True,
            )
            self._task = self._bar.add_task("", total=1.0, told="")
            self._bar.start()


def _told(checked: Checked) -> str:
    text = f"{checked.leads:,} leads, {checked.leads_per_second:,.0f} leads/s, {checked.failed:,} would get no mail"
    left = checked.seconds_left
    return text if left is None or checked.share >= 1 else f"{text}, {span(left)} left"


def summary(campaign: Campaign, checked: Checked, rejects: Path | None) -> RenderableType:
    """Who would get no mail, grouped by reason with examples."""
    took = f"in {span(checked.seconds)}, {checked.leads_per_second:,.0f} leads/s; nothing was sent"
    if not checked.leads:
        return Text(f"Campaign {campaign.campaign_id} {campaign.name} goes to nobody: no lead fits.", style="yellow")
    if not checked.failed:
        return Text(f"All {checked.leads:,} leads would get their mail ({took}).")
    lines: list[RenderableType] = [
        Text(f"{checked.failed:,} of {checked.leads:,} leads would get no mail ({took}).", style="bold"),
        Text(),
    ]
    groups = checked.by_frequency()
    for reason, group in groups[:REASONS_SHOWN]:
        lines.append(Text.from_markup(f"[red]{group.leads:,}[/red]  {escape(reason)}"))
        examples = ", ".join(f"{one.email} ({one.lead_id})" for one in group.examples)
        lines.append(Text(f"     for example {examples}", style="dim"))
    if len(groups) > REASONS_SHOWN:
        lines.append(Text(f"and {len(groups) - REASONS_SHOWN} more reasons", style="dim"))
    where = "--rejects FILE writes all of them" if rejects is None else f"all of them are in {rejects}"
    return Group(*lines, Text(), Text(where, style="dim"))
