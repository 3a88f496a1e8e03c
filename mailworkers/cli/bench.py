"""`mailworkers bench`"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from mailworkers.bench.mails import LEAST_HTML_SIZE, LEAST_SIZE, MOST_SIZE
from mailworkers.bench.plan import Plan, parse_relay
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, say
from mailworkers.errors import SettingsError
from mailworkers.settings import Settings

OVERRIDES = ("smtp_user", "smtp_tls", "smtp_ca_file", "claim_batch", "ack_batch", "ack_delay_ms", "max_unwritten")

Jobs = Annotated[int, typer.Option("--jobs", help="Mails in each run.", min=100, max=10_000_000)]
Size = Annotated[int, typer.Option("--size", help="Octets of each mail.", min=LEAST_SIZE, max=MOST_SIZE)]
HtmlOption = Annotated[
    bool,
    typer.Option("--html", help="Mails in two parts of UTF-8, text and HTML, as newsletters are; else plain text."),
]
RelayOption = Annotated[
    str | None,
    typer.Option(
        "--relay",
        help="The relay to send to; by default a sink that discards, in a second process.",
        metavar="HOST:PORT",
        show_default=False,
    ),
]
Owned = Annotated[
    bool, typer.Option("--i-own-this-relay", help="Allow a relay that is not on this machine: it is yours to load.")
]
Workers = Annotated[int, typer.Option("--workers", help="Connections of each daemon.", min=1, max=500)]
Daemons = Annotated[int, typer.Option("--daemons", help="Daemons on the one database.", min=1, max=16)]
Runs = Annotated[int, typer.Option("--runs", help="Rounds; each figure is the median.", min=1, max=25)]
LatencyOption = Annotated[
    bool, typer.Option("--latency", help="Also: single inserts into an idle daemon's queue, and what idling costs.")
]
MetricsOption = Annotated[bool, typer.Option("--metrics/--no-metrics", help="Whether the daemons count for /metrics.")]


@with_settings(*OVERRIDES)
def bench(  # noqa: PLR0913 -- one argument an option
    settings: Settings,
    *,
    jobs: Jobs = 20_000,
    size: Size = 3_000,
    html: HtmlOption = False,
    relay: RelayOption = None,
    i_own_this_relay: Owned = False,
    workers: Workers = 10,
    daemons: Daemons = 1,
    runs: Runs = 1,
    latency: LatencyOption = False,
    metrics: MetricsOption = True,
    json: Json = False,
) -> None:
    """How fast is this database, and how fast this relay?

    Rows are inserted as an application inserts them, and daemons send them as they always do; beside that, the same mails
    go out without a queue and through the queue without SMTP, so that the figures tell what holds the speed. It works in
    a schema of its own, which it drops at the end, and sets every limit out of reach. Exit code 0 only if every mail was sent
    once and is recorded so.

    [dim]$[/dim] mailworkers bench

    [dim]$[/dim] mailworkers bench --jobs 100000 --runs 5 --latency --json

    [dim]$[/dim] mailworkers bench --html --size 6000

    [dim]$[/dim] mailworkers bench --relay 127.0.0.1:2525 --daemons 2
    """
    from mailworkers.bench.run import run_bench  # noqa: PLC0415 -- no other command waits for these imports
    from mailworkers.cli.bench_screen import BenchScreen, as_json, show  # noqa: PLC0415

    where = parse_relay(relay, owned=i_own_this_relay) if relay is not None else None
    if html and size < LEAST_HTML_SIZE:
        raise SettingsError(f"--size is at least {LEAST_HTML_SIZE} with --html: two parts take that much")
    plan = Plan(jobs, size, where, workers, daemons, runs, latency, metrics, html)
    screen = BenchScreen()
    try:
        report = run_async(run_bench(settings, plan, screen), settings)
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.close()
        say("interrupted; nothing of it is left behind")
        raise
    finally:
        screen.close()
    if json:
        as_json(report)
    else:
        show(report, console())
