"""What the demo shows: a progress bar on a terminal, plain lines elsewhere, and the summary."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mailworkers.demo.capture import Captured
from mailworkers.demo.leads import SHIPPED_NAME, LeadList
from mailworkers.demo.result import Result
from mailworkers.demo.run import Progress as Done
from mailworkers.demo.run import Where

PLAIN_LINE_SECONDS = 1.0  # how often a line tells the progress where no bar can
ADDRESSES_SHOWN = 10
LINES_SHOWN = 3  # of a mail's text
SPEED_WINDOW_SECONDS = 1.0
ONE_MORE = (
    "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body) "
    "VALUES ('ann@pigeonpost.example', 'Hello', 'Hi Ann')"
)


class DemoScreen:
    """Tells one person how the demo goes. `result` is set once all is accounted for.

    Args:
        out: where to.
        leads: the person's own list.
        whole_mail: show one mail as it arrived, instead of how it begins for its reader.
    """

    def __init__(self, out: Console, leads: Path | None, *, whole_mail: bool = False) -> None:
        self.result: Result | None = None
        self._out = out
        self._list = str(leads) if leads else SHIPPED_NAME
        self._on_purpose = leads is None
        self._whole_mail = whole_mail
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._speed = _Speed()
        self._last_line = 0.0

    def step(self, sentence: str) -> None:
        """Something begins that takes a moment."""
        self._out.print(f"[cyan]●[/cyan] {sentence} …")

    def began(self, _where: Where, leads: LeadList) -> None:
        """Everything runs; mails begin to flow."""
        self._out.print(f"[cyan]●[/cyan] writing to {leads.rows:,} leads: {escape(self._list)}")
        self._last_line = time.monotonic()
        if self._out.is_terminal:
            self._out.print()
            self._bar = Progress(
                TextColumn(" "),
                BarColumn(bar_width=36),
                MofNCompleteColumn(),
                TextColumn("[bold]{task.fields[speed]:>6,.0f}[/bold] mails/s"),
                TimeElapsedColumn(),
                console=self._out,
            )
            self._task = self._bar.add_task("", total=len(leads.leads), speed=0.0)
            self._bar.start()

    def progressed(self, progress: Done) -> None:
        """It went on."""
        now = time.monotonic()
        speed = self._speed.at(now, progress.captured)
        if self._bar is not None:
            self._bar.update(self._task, completed=progress.done, speed=speed)
        elif now - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line = now
            inserted, refused = len(progress.inserted.accepted), len(progress.inserted.refused)
            self._out.print(
                f"  of {progress.total:,} addresses: {inserted:,} accepted, {refused:,} refused; "
                f"{progress.captured:,} mails arrived ({speed:,.0f} mails/s)"
            )

    def ended(self, result: Result) -> None:
        """All is accounted for."""
        self.close()
        self.result = result
        if result.message is not None:
            self._out.print()
            (self._show_whole if self._whole_mail else self._show_beginning)(result.message)
        self._out.print()
        self._out.print(_summary(result, on_purpose=self._on_purpose))
        self._out.print()
        for line in _verdict(result):
            self._out.print(line)

    def kept(self, where: Where) -> None:
        """It goes on running until Ctrl-C."""
        program = _program()
        self._out.print()
        self._out.print("[bold]Everything goes on running until Ctrl-C.[/bold] In another terminal, send one more:")
        self._out.print()
        for line in (
            f"export DATABASE_URL='{where.dsn}'",
            f'psql "$DATABASE_URL" -c "{ONE_MORE}"',
            f"{program} jobs list --limit 3",
            f"{program} top",
            f"curl {where.health}",
        ):
            self._out.print(Text(f"  {line}", style="cyan"), soft_wrap=True)

    def suggest(self) -> None:
        """What to do next, where nothing of it goes on."""
        self._out.print(Text(f"To look around in it: {_program()} demo --keep"), soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show_beginning(self, mail: Captured) -> None:
        """Who wrote to whom about what, and how it goes on, as a mail program shows it."""
        read = message_from_bytes(mail.content, policy=default)
        text = read.get_body(("plain",))
        lines = [line for line in str(text.get_content() if text else "").splitlines() if line.strip()]
        self._out.print("One of the mails, as its reader sees it (--mail shows it whole, as it arrived):")
        self._out.print()
        for name in ("From", "To", "Subject"):
            self._out.print(Text(f"  {name + ':':<9}{read[name]}"), soft_wrap=True)
        for line in [*lines[:LINES_SHOWN], "…"]:
            self._out.print(Text(f"  {line}", style="dim"), soft_wrap=True)

    def _show_whole(self, mail: Captured) -> None:
        source = mail.content.decode("utf-8", "replace").replace("\r\n", "\n").rstrip()
        title = f"One of the captured mails, as it arrived for {mail.rcpt_to[0]}"
        if self._out.is_terminal:
            self._out.print(Panel(Text(source), title=escape(title), border_style="dim", title_align="left"))
        else:
            self._out.print(f"--- {escape(title)}")
            self._out.print(Text(source), soft_wrap=True)
            self._out.print("---")


def _program() -> str:
    """How this program is called from anywhere: by its name where the shell finds it so, else as it was started."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m mailworkers"
    found = shutil.which(started.name)
    if found is not None and Path(found).resolve() == started.resolve():
        return started.name
    return shlex.quote(str(started.absolute()))


class _Speed:
    """Mails a second over the last second, so that the figure follows what happens now."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def at(self, now: float, count: int) -> float:
        self._marks.append((now, count))
        while len(self._marks) > 2 and self._marks[1][0] <= now - SPEED_WINDOW_SECONDS:
            del self._marks[0]
        (then, before), elapsed = self._marks[0], now - self._marks[0][0]
        return (count - before) / elapsed if elapsed > 0 and now > then else 0.0


def _summary(result: Result, *, on_purpose: bool) -> Table:
    made = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(justify="right", style="bold")
    made.add_column()
    made.add_row("leads", f"{result.rows:,}", "rows in the list")
    made.add_row("accepted", f"{result.valid:,}", "by the database, one mail each")
    made.add_row("sent", f"{result.captured:,}", "arrived at the capturing mail server")
    made.add_row("duplicates", f"{result.duplicates:,}", "the same address once more, written differently")
    why_any = (
        "by the database, at INSERT; the list has bad rows on purpose:" if on_purpose else "by the database, at INSERT:"
    )
    made.add_row("refused", f"{sum(result.refused.values()):,}", why_any)
    for why, times in result.refused.items():
        made.add_row("", f"[not bold]{times:,}[/not bold]", f"[dim]{escape(why)}[/dim]")
    made.add_row("seconds", f"{result.seconds:.1f}", "from nothing to this line, PostgreSQL's start included")
    made.add_row("mails/s", f"{result.mails_per_second:,.0f}", "from the first INSERT to the last mail")
    return made


def _verdict(result: Result) -> list[str]:
    if result.complete:
        return ["[bold green]✓ Every valid lead got exactly one mail.[/bold green]"]
    lines = ["[bold red]✗ Not every valid lead got exactly one mail.[/bold red]"]
    for what, addresses in (
        ("got none", result.missing),
        ("got more than one", result.repeated),
        ("got one that nobody asked for", result.strangers),
    ):
        if addresses:
            named = ", ".join(addresses[:ADDRESSES_SHOWN]) + (" …" if len(addresses) > ADDRESSES_SHOWN else "")
            lines.append(f"  {len(addresses):,} {what}: {escape(named)}")
    lines += [f"  {times:,} {escape(why)}" for why, times in result.not_sent.items()]
    if result.sent != result.captured:
        lines.append(f"  the record says {result.sent:,} were sent, {result.captured:,} arrived")
    return lines
