"""`mailworkers demo`"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from mailworkers.cli.ending import DEBUG_VARIABLE
from mailworkers.cli.loop import run_async
from mailworkers.cli.output import console, say
from mailworkers.demo.leads import SHIPPED
from mailworkers.errors import EX_FAILED

Leads = Annotated[
    Path | None, typer.Option("--leads", help="Your own list: CSV in UTF-8 with a column Email.", show_default=False)
]
Rows = Annotated[int | None, typer.Option("--rows", help="Only so many rows of it.", min=1, show_default=False)]
Keep = Annotated[bool, typer.Option("--keep", help="Leave it all running to look around, until Ctrl-C.")]
Mail = Annotated[bool, typer.Option("--mail", help="Print one of the captured mails whole, as it arrived.")]
Files = Annotated[
    Path | None,
    typer.Option(
        "--files", help="Only write what it is made of into this folder, to try commands with.", show_default=False
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def demo(
    *,
    leads: Leads = None,
    rows: Rows = None,
    keep: Keep = False,
    mail: Mail = False,
    files: Files = None,
    debug: Debug = False,
) -> None:
    """See the whole way on real input: a letter to each of 1,000 leads, from inserted row to captured mail.

    It starts a private PostgreSQL, a mail server that captures and delivers nothing, and the daemon; inserts a mail
    for each lead by plain SQL; shows what the database refused and why, and how one mail reads. Nothing leaves this
    machine, nothing is left behind, and no setting of this machine is used. Exit code 0 only if every valid lead got
    exactly one mail.

    [dim]$[/dim] mailworkers demo
    [dim]$[/dim] mailworkers demo --leads contacts.csv --rows 500
    [dim]$[/dim] mailworkers demo --mail          and see one of the mails whole, as it arrived
    [dim]$[/dim] mailworkers demo --keep          then look at it with psql, mailworkers top, the health page
    [dim]$[/dim] mailworkers demo --files tour    contacts and a letter, to import and send with other commands
    """
    from mailworkers.cli.demo_screen import DemoScreen  # noqa: PLC0415 -- no other command waits for these imports
    from mailworkers.demo.run import demo_settings, run_demo  # noqa: PLC0415

    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    if files is not None:
        _write(files)
        return
    screen = DemoScreen(console(), leads, whole_mail=mail)
    try:
        run_async(run_demo(leads or SHIPPED, rows, screen, keep=keep), demo_settings())
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.close()
        if screen.result is None or not keep:
            say("interrupted; nothing of it is left behind")
            raise
    finally:
        screen.close()
    if screen.result is None or not screen.result.complete:
        raise typer.Exit(EX_FAILED)
    if not keep:
        screen.suggest()


def _write(folder: Path) -> None:
    from mailworkers.demo.samples import write_samples  # noqa: PLC0415 -- as above

    for path in write_samples(folder):
        console().print(f"Wrote {path}.", markup=False)
