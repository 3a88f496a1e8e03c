"""What the bench shows: its progress on standard error, its figures on standard output."""

from __future__ import annotations

import time
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mailworkers.bench.figures import Percentiles, Report, Speed
from mailworkers.bench.stages import STAGES
from mailworkers.cli.output import facts, print_json, table

PLAIN_LINE_SECONDS = 2.0  # how often a line tells the progress where no bar can


class BenchScreen:
    """Tells one person how the bench goes."""

    def __init__(self) -> None:
        self._out = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._total = 0
        self._last_line = 0.0

    def step(self, sentence: str, total: int = 0) -> None:
        """Something begins that takes a while."""
        self.close()
        self._out.print(f"[cyan]●[/cyan] {sentence} …")
        self._total = total
        if total and self._out.is_terminal:
            self._bar = Progress(
                TextColumn(" "),
                BarColumn(bar_width=36),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._out,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
        self._last_line = time.monotonic()

    def progressed(self, done: int) -> None:
        """It went on."""
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        elif now - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line = now
            self._out.print(f"  {done:,} of {self._total:,}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def show(report: Report, out: Console) -> None:
    """The figures, for a person."""
    plan, passage = report.plan, report.passage
    runs = f"medians of {plan.runs} runs" if plan.runs > 1 else "one run: use --runs 5 for figures to rely on"
    out.print()
    out.print(facts({**report.machine, "relay": escape(report.relay), "mails": _mails(report)}))
    out.print()
    out.print(_speeds(report, f"Speed ({runs})"))
    out.print()
    out.print(_stage_table(report))
    out.print()
    out.print(facts(_details(report)))
    out.print()
    out.print(facts({f"PostgreSQL's {name}": escape(value) for name, value in report.server.items()}))
    out.print()
    counted = "and the relay counted as many" if passage.arrived is not None else "the relay was not asked"
    out.print(f"[bold green]✓ Every mail is recorded as sent once; {counted}.[/bold green]")


def as_json(report: Report) -> None:
    """The figures, for a script: seconds, octets and CPU microseconds throughout."""
    speeds = {"whole path": report.passage.speed, "queue without SMTP": report.queue_alone.speed}
    speeds |= {name: report.reference(name) for name in report.references}
    print_json(
        {
            "mails_per_second": {name: round(speed.per_second, 1) for name, speed in speeds.items()},
            "cpu_microseconds_per_mail": {name: speed.cpu_microseconds for name, speed in speeds.items()},
            "ratios": report.ratios,
            "stages": report.passage.stages,
            "statements_per_mail": report.passage.statements_per_mail,
            "insert_to_sent": report.passage.insert_to_sent,
            "peak_bytes": report.passage.peak_bytes,
            "latency": report.latency,
            "plan": asdict(report.plan),
            "relay": report.relay,
            "machine": report.machine,
            "server": report.server,
            "runs": {
                "whole path": report.passages,
                "queue without SMTP": report.without_smtp,
                **report.references,
            },
        }
    )


def _mails(report: Report) -> str:
    plan = report.plan
    form = ", text and HTML" if plan.html else ""
    return f"{plan.jobs:,} of {plan.size:,} octets{form}; {plan.daemons} daemon(s) with {plan.workers} connections each"


def _speeds(report: Report, title: str) -> object:
    rows = [_speed_row("whole path", report.passage.speed, None)]
    others = {"queue without SMTP": report.queue_alone.speed}
    others |= {name: report.reference(name) for name in report.references}
    rows += [_speed_row(name, speed, report.ratios.get(name)) for name, speed in others.items()]
    return table(["", "mails/s#", "CPU µs a mail#", "whole path#"], rows, title=title)


def _speed_row(name: str, speed: Speed, ratio: float | None) -> list[str]:
    cpu = speed.cpu_microseconds
    times = "" if ratio is None else f"{ratio:.2f} x"
    return [escape(name), f"{speed.per_second:,.0f}", "-" if cpu is None else f"{cpu:.1f}", times]


def _stage_table(report: Report) -> object:
    rows = []
    for stage in STAGES:
        values = [one.stages.get(stage, 0.0) for one in (report.passage, report.queue_alone)]
        rows.append([stage, *(f"{value:.1f}" for value in values)])
    return table(
        ["", "whole path#", "without SMTP#"],
        rows,
        title="CPU µs a mail in the daemon, by stage (sampled; the sum is above)",
    )


def _details(report: Report) -> dict[str, str]:
    passage = report.passage
    details = {
        "inserted": f"{report.plan.jobs / passage.copy_seconds:,.0f} rows/s by COPY as mailworkers_app",
        "statements": f"{passage.statements_per_mail:.4f} a mail",
        "peak memory": f"{passage.peak_bytes / 1024**2:.0f} MiB a daemon",
        "insert to sent": f"{_milliseconds(passage.insert_to_sent)} with all inserted at once",
    }
    if report.latency is not None:
        latency = report.latency
        details["when idle"] = f"{_milliseconds(latency.insert_to_sent)} over {latency.inserts} single inserts"
        details["idle daemon"] = f"{latency.idle_cpu_percent:.2f} % of a core"
    return details


def _milliseconds(values: Percentiles) -> str:
    return f"p50 {values.p50 * 1e3:,.1f} ms, p95 {values.p95 * 1e3:,.1f} ms, p99 {values.p99 * 1e3:,.1f} ms"
