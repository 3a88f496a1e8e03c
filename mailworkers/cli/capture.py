"""`mailworkers capture`"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json
from mailworkers.cli.output import console, print_json, say
from mailworkers.demo.capture import HOST, Captured, CaptureServer
from mailworkers.errors import EX_DATAERR, MailworkersError, PortInUse

TOLD_SECONDS = 2.0  # how often the number of mails is told while they come
DIGITS = 6  # of a file's name: a million mails stay in their order

Port = Annotated[int, typer.Option("--port", help="Where it listens, on 127.0.0.1.", min=0, max=65535)]
Folder = Annotated[
    Path | None, typer.Option("--out", help="Write each mail into this folder, as an .eml file.", show_default=False)
]
Mails = Annotated[int | None, typer.Option("--mails", help="End by itself after so many.", min=1, show_default=False)]


class NotWritten(MailworkersError):
    """A captured mail cannot be written to its folder."""

    exit_code = EX_DATAERR


def capture(*, port: Port = 1025, out: Folder = None, mails: Mails = None, as_json: Json = False) -> None:
    """Run a mail server that takes everything and delivers nothing, to try things with. Ends on Ctrl-C.

    It listens on this machine only. Its counts come at its end.

    [dim]$[/dim] mailworkers capture
    [dim]$[/dim] mailworkers capture --port 2525 --out mails
    [dim]$[/dim] mailworkers run --smtp-host 127.0.0.1 --smtp-port 1025          the daemon that sends to it
    """
    from mailworkers.demo.run import demo_settings  # noqa: PLC0415 -- no other command waits for these imports

    mailbox = Mailbox(out, mails)
    run_async(_capture(mailbox, port), demo_settings())
    if as_json:
        print_json(
            {"mails": mailbox.server.mails, "recipients": len(mailbox.server.recipients), "bytes": mailbox.server.bytes}
        )
    else:
        where = "" if out is None else f", written to {out}"
        console().print(
            f"Captured {mailbox.server.mails:,} mails to {len(mailbox.server.recipients):,} recipients{where}.",
            markup=False,
        )


class Mailbox:
    """The server, and a folder where what it takes becomes files. `ended` is set once there are `mails` of them, or one
    could not be written, which is the `problem`."""

    def __init__(self, folder: Path | None, mails: int | None) -> None:
        self.server = CaptureServer(keep=0, told=self._take)
        self.ended = asyncio.Event()
        self.problem: NotWritten | None = None
        self._folder = folder
        self._mails = mails
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise NotWritten(f"cannot make {folder}: {problem.strerror}", "Check --out") from None

    def _take(self, mail: Captured) -> None:
        if self._folder is not None:
            path = self._folder / f"{self.server.mails:0{DIGITS}}.eml"
            try:
                path.write_bytes(mail.content)
            except OSError as problem:
                self.problem = NotWritten(f"cannot write {path}: {problem.strerror}", "Check --out")
        if self.problem is not None or self.server.mails == self._mails:
            self.ended.set()


async def _capture(mailbox: Mailbox, port: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # the usual ways to leave it are no error
        loop.add_signal_handler(number, mailbox.ended.set)
    server = mailbox.server
    try:
        at = await server.start(port)
    except PortInUse as taken:
        raise PortInUse(taken.message, "Give another --port; 0 chooses a free one") from None
    say(f"capturing on {HOST}:{at}; nothing goes further than here. Ctrl-C ends it")
    told = 0
    try:
        while not mailbox.ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TOLD_SECONDS):
                    await mailbox.ended.wait()
            if server.mails != told and not mailbox.ended.is_set():
                told = server.mails
                say(f"{told:,} mails so far")
    finally:
        await server.stop()
    if mailbox.problem is not None:
        raise mailbox.problem
