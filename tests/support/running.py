"""A whole daemon inside a test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailworkers.daemon import supervisor
from mailworkers.daemon.supervisor import MakePage, Running
from mailworkers.settings import Settings

START_SECONDS = 20.0
STOP_SECONDS = 20.0


@asynccontextmanager
async def running_daemon(settings: Settings, make_page: MakePage | None = None) -> AsyncIterator[Running]:
    """Start a daemon, and stop it as SIGTERM does. Its exit code must be 0."""
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    assert settings.database_url is not None
    task = asyncio.create_task(
        supervisor.run(
            settings, settings.database_url.get_secret_value(), make_page=make_page, on_ready=ready.set_result
        )
    )
    task.add_done_callback(lambda _ended: ready.cancel())
    try:
        running = await asyncio.wait_for(ready, START_SECONDS)
    except asyncio.CancelledError:
        await task  # raises what ended the start
        raise
    try:
        yield running
    finally:
        running.stop.set()
        code = await asyncio.wait_for(task, STOP_SECONDS)
    assert code == 0
