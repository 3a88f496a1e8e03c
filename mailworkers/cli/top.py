"""`mailworkers top`"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import termios
import time
import tty
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import typer
from rich.live import Live

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import with_settings
from mailworkers.cli.output import console
from mailworkers.cli.screen import screen
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.overview import Overview, read_overview
from mailworkers.settings import Settings
from mailworkers.web.ask import ask_local_daemon

REFRESH_SECONDS = 1.0
Seconds = Annotated[float | None, typer.Option("--seconds", help="End by itself after so many.", min=0.0)]


@with_settings()
def top(settings: Settings, *, seconds: Seconds = None) -> None:
    """Watch it live: the screen of `status`, every second, with the speed. Ends on q or Ctrl-C.

    [dim]$[/dim] mailworkers top
    """
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to leave it is no error
        run_async(_watch(settings, seconds), settings)


async def _watch(settings: Settings, seconds: float | None) -> None:
    async with opened(settings, READONLY) as database:
        previous: tuple[float, Overview] | None = None
        with Live(console=console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
            async for now in _ticks(seconds):
                try:
                    overview = await read_overview(database.claims)
                except DatabaseUnavailable as problem:
                    live.update(f"[red]{problem}[/red]", refresh=True)
                    continue
                local = await ask_local_daemon(settings)
                speed = _speed(previous, now, overview)
                rates = _campaign_rates(previous, now, overview)
                live.update(screen(overview, settings.db_schema, local, speed, rates, live=True), refresh=True)
                previous = (now, overview)
        if not sys.stdout.isatty():
            print()  # noqa: T201 -- Live leaves the last line open


async def _ticks(seconds: float | None) -> AsyncIterator[float]:
    """The moments to look, until the time is up or somebody presses q."""
    ends = time.monotonic() + seconds if seconds is not None else float("inf")
    with _quit_key() as pressed:
        while True:
            now = time.monotonic()
            yield now
            left = min(now + REFRESH_SECONDS, ends) - time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await pressed.wait()
            if pressed.is_set() or time.monotonic() >= ends:
                return


@contextlib.contextmanager
def _quit_key() -> Iterator[asyncio.Event]:
    """Set when q is pressed. Without a terminal it never is."""
    pressed = asyncio.Event()
    if not sys.stdin.isatty():
        yield pressed
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def read() -> None:
        if sys.stdin.read(1) in ("q", "Q", ""):
            pressed.set()

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield pressed
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _speed(previous: tuple[float, Overview] | None, now: float, overview: Overview) -> float | None:
    if previous is None or now <= previous[0]:
        return None
    sent = overview.figures.sent_last_day - previous[1].figures.sent_last_day
    return max(0, sent) / (now - previous[0])


def _campaign_rates(previous: tuple[float, Overview] | None, now: float, overview: Overview) -> dict[int, float]:
    if previous is None or now <= previous[0]:
        return {}
    before = {one.campaign_id: one.done for one in previous[1].campaigns}
    return {
        one.campaign_id: max(0, one.done - before[one.campaign_id]) / (now - previous[0])
        for one in overview.campaigns
        if one.campaign_id in before
    }
