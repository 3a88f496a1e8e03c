"""`mailworkers doctor`"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, print_json
from mailworkers.doctor.finding import Finding, Level
from mailworkers.errors import EX_FAILED
from mailworkers.settings import Settings

SIGNS = {
    Level.OK: ("✓", "green"),
    Level.WARN: ("!", "yellow"),
    Level.FAIL: ("✗", "red"),
    Level.SKIP: ("·", "dim"),
}
Selector = Annotated[str | None, typer.Option("--dkim-selector", help="Look for the DKIM key of this name.")]


@with_settings("smtp_host", "smtp_port", "smtp_user", "smtp_tls", "smtp_ca_file", "from_email")
def doctor(settings: Settings, *, dkim_selector: Selector = None, as_json: Json = False) -> None:
    """Check the database, the relay, the sender's DNS records and this host. No mail is sent.

    Each finding says what to do. Exit code 1 where one of them would keep mail from going out, else 0.

    [dim]$[/dim] mailworkers doctor
    [dim]$[/dim] mailworkers doctor --dkim-selector mail2026 --json | jq '.[] | select(.level == "fail")'
    """
    out = console()
    found = run_async(_examine(settings, dkim_selector, None if as_json else out), settings)
    if as_json:
        print_json(found)
    else:
        _summarize(out, found)
    if any(finding.level is Level.FAIL for finding in found):
        raise typer.Exit(EX_FAILED)


async def _examine(settings: Settings, dkim_selector: str | None, out: Console | None) -> list[Finding]:
    from mailworkers.doctor.examination import examine  # noqa: PLC0415 -- no other command waits for these imports

    found = []
    async for finding in examine(settings, dkim_selector):
        found.append(finding)
        if out is not None:
            _print(out, finding)
    return found


def _print(out: Console, finding: Finding) -> None:
    sign, colour = SIGNS[finding.level]
    out.print(Text.assemble((f"{sign} ", colour), (f"{finding.check:<17} ", "dim"), finding.sentence))
    if finding.advice:
        out.print(Text.assemble(" " * 20, ("→ ", colour), finding.advice))


def _summarize(out: Console, found: list[Finding]) -> None:
    faults = sum(finding.level is Level.FAIL for finding in found)
    warnings = sum(finding.level is Level.WARN for finding in found)
    out.print()
    if not faults and not warnings:
        out.print("[green]Nothing to do.[/green]")
    else:
        out.print(f"{faults} to repair, {warnings} to look at.")
