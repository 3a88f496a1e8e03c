"""A daemon for as long as a block of code runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mailworkers.daemon.supervisor import MakePage, Running, run
from mailworkers.settings import Settings


@asynccontextmanager
async def running(settings: Settings, dsn: str, make_page: MakePage | None = None) -> AsyncIterator[Running]:
    """Run a daemon beside the block, and drain it when the block ends.

    Where the daemon ends first, because of a signal or a bug, the block is cancelled.

    Args:
        settings: the daemon's.
        dsn: the database.
        make_page: makes its health page; none is served without it.

    Raises:
        MailworkersError: it could not start.
        CancelledError: in the block, when the daemon ended.
    """
    loop = asyncio.get_running_loop()
    block = asyncio.current_task()
    assert block is not None
    ready: asyncio.Future[Running] = loop.create_future()
    daemon = asyncio.create_task(run(settings, dsn, make_page=make_page, on_ready=ready.set_result))
    try:
        both: set[asyncio.Future[Any]] = {daemon, ready}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await daemon
            raise asyncio.CancelledError("the daemon was told to stop while it started")
        interrupt = lambda _daemon: block.cancel()  # noqa: E731 -- a callback to take back by its identity
        daemon.add_done_callback(interrupt)
        try:
            yield ready.result()
        finally:
            daemon.remove_done_callback(interrupt)
            ready.result().stop.set()
    finally:
        if not ready.done():
            ready.cancel()
            daemon.cancel()
        await asyncio.wait({daemon})
