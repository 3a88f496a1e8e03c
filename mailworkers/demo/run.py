"""The demo from start to end: a private database, a capturing server, a daemon, and a letter for each lead."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from mailworkers.daemon.briefly import running
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.supervisor import Page, Running
from mailworkers.daemon.vitals import Vitals
from mailworkers.db.embedded import embedded_server
from mailworkers.db.migrate import migrate
from mailworkers.db.pool import connect_once
from mailworkers.db.queries import Queries
from mailworkers.demo.capture import HOST, CaptureServer
from mailworkers.demo.home import temporary_home
from mailworkers.demo.inserting import Inserted, insert_letters
from mailworkers.demo.leads import LeadList, read_leads
from mailworkers.demo.letter import LetterTemplate
from mailworkers.demo.result import Result, account
from mailworkers.settings import Settings
from mailworkers.web.server import WebServer

SHOW_SECONDS = 0.1  # how often progress is told
STALL_SECONDS = 30.0  # nothing arrived for so long: the demo ends and says what is missing
SETTLE_SECONDS = 5.0  # for the last results to be written after the last mail arrived
WORKERS = 10


@dataclass(frozen=True, slots=True)
class Where:
    """What a person can look at while it runs."""

    dsn: str
    health: str
    relay: str


@dataclass(slots=True)
class Progress:
    """How far it is. `total` counts distinct addresses."""

    total: int
    inserted: Inserted = field(default_factory=Inserted)
    captured: int = 0

    @property
    def done(self) -> int:
        return self.captured + len(self.inserted.refused)


class Audience(Protocol):
    """Whoever watches the demo."""

    def step(self, sentence: str) -> None:
        """Something begins that takes a moment."""

    def began(self, where: Where, leads: LeadList) -> None:
        """Everything runs; mails begin to flow."""

    def progressed(self, progress: Progress) -> None:
        """It went on; called many times a second."""

    def ended(self, result: Result) -> None:
        """All is accounted for."""

    def kept(self, where: Where) -> None:
        """It goes on running until Ctrl-C."""


async def run_demo(path: Path, limit: int | None, audience: Audience, *, keep: bool = False) -> Result:
    """Run all of it, and leave nothing behind.

    Args:
        path: the lead list.
        limit: only so many rows of it.
        audience: is told how it goes.
        keep: go on running after the result was told, until this task is cancelled.

    Raises:
        LeadsError: the list cannot be read; nothing was started.
        MailworkersError: one of the parts could not start.
    """
    started = time.monotonic()
    leads = read_leads(path, limit)
    audience.step("starting a private PostgreSQL")
    with temporary_home() as home:
        async with embedded_server(home) as dsn:
            audience.step("creating the tables")
            await migrate(dsn)
            audience.step("starting a mail server and the daemon")
            async with _capturing() as (capture, port), _daemon(dsn, port) as page:
                where = Where(dsn, f"{page.url}/health", f"{HOST}:{port}")
                audience.began(where, leads)
                result = await _mail_all(dsn, leads, capture, audience, started)
                audience.ended(result)
                if keep:
                    audience.kept(where)
                    await asyncio.Event().wait()
    return result


@asynccontextmanager
async def _capturing() -> AsyncIterator[tuple[CaptureServer, int]]:
    capture = CaptureServer()
    port = await capture.start()
    try:
        yield capture, port
    finally:
        await capture.stop()


@asynccontextmanager
async def _daemon(dsn: str, port: int) -> AsyncIterator[WebServer]:
    settings = demo_settings(dsn, port)
    pages: list[WebServer] = []

    def make_page(settings: Settings, vitals: Vitals, metrics: Metrics) -> Page:
        pages.append(WebServer(settings, vitals, metrics))
        return pages[0]

    async with running(settings, dsn, make_page) as daemon:
        _end_on_hangup(daemon)
        yield pages[0]


def demo_settings(dsn: str | None = None, port: int = 0) -> Settings:
    """Defaults, with limits lifted and everything on loopback. What is set on this host is left aside: a demo must not
    send anything anywhere, whatever the environment says."""
    defaults: dict[str, Any] = {name: info.default for name, info in Settings.model_fields.items()}
    return Settings.model_construct(
        **defaults
        | {
            "database_url": SecretStr(dsn) if dsn else None,
            "smtp_host": HOST,
            "smtp_port": port,
            "smtp_tls": "none",
            "from_email": LetterTemplate().sender_email,
            "instance": "demo",
            "min_workers": WORKERS,
            "max_workers": WORKERS,
            "target_per_hour": 0,
            "worker_rate_per_minute": 0,
            "worker_rate_per_hour": 0,
            "drain_seconds": 5.0,  # loopback answers at once
            "http_port": 0,
            "log_level": "WARNING",
        }
    )


def _end_on_hangup(daemon: Running) -> None:
    """A daemon reads its settings again on SIGHUP; a demo whose terminal was closed has nobody left to watch it."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.stop.set)


async def _mail_all(dsn: str, leads: LeadList, capture: CaptureServer, audience: Audience, started: float) -> Result:
    progress = Progress(len(leads.leads))
    began = time.monotonic()
    inserting = asyncio.create_task(
        insert_letters(dsn, leads.leads, LetterTemplate(), progress.inserted, lambda: audience.progressed(progress))
    )
    try:
        finished = await _watch(inserting, capture, progress, audience)
    finally:
        inserting.cancel()
        await asyncio.wait({inserting})
    inserting.result()
    ends = await _recorded(dsn, len(progress.inserted.accepted))
    seconds = time.monotonic() - started
    return account(leads, progress.inserted, capture.recipients, ends, seconds, finished - began, capture.messages)


async def _watch(
    inserting: asyncio.Task[None], capture: CaptureServer, progress: Progress, audience: Audience
) -> float:
    """Tell of the progress until all mails arrived, or none did for `STALL_SECONDS`; when the last one did."""
    last = time.monotonic()
    while True:
        if capture.mails != progress.captured:
            progress.captured, last = capture.mails, time.monotonic()
        audience.progressed(progress)
        if inserting.done() and progress.captured >= len(progress.inserted.accepted):
            return last
        if time.monotonic() - last > STALL_SECONDS:
            return last
        await asyncio.sleep(SHOW_SECONDS)


async def _recorded(dsn: str, expected: int) -> dict[tuple[str, str], int]:
    """How the record says that mails ended: (status, reason) → number. Waits a little for the last group commit."""
    connection = await connect_once(demo_settings(dsn), dsn, "demo")
    query = Queries()["demo/ends"]
    ends: dict[tuple[str, str], int] = {}
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while sum(ends.values()) < expected:
                ends = {(row["status"], row["why"]): row["times"] for row in await connection.fetch(query)}
                await asyncio.sleep(SHOW_SECONDS)
    except TimeoutError:
        pass  # the result tells the difference
    finally:
        connection.terminate()
    return ends
