"""Hearing that campaigns went on, without asking again and again. What is heard is a reason to look, never the truth."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mailworkers.db.pool import FAULTS, connect_once
from mailworkers.errors import DatabaseError
from mailworkers.settings import Settings

ANSWER_SECONDS = 5.0
CLOSE_SECONDS = 2.0


@asynccontextmanager
async def hearing(settings: Settings, dsn: str, channels: tuple[str, ...]) -> AsyncIterator[asyncio.Event]:
    """An event that is set when something is said on one of the channels, as long as the block runs.

    Where this way to the database has no sessions, or the session is lost, it is never set: the caller looks now and then
    anyway.

    Args:
        settings: names and time-outs; DIRECT_DATABASE_URL wins over `dsn`.
        dsn: the database.
        channels: without the schema's name, which they begin with.
    """
    heard = asyncio.Event()
    direct = settings.direct_database_url.get_secret_value() if settings.direct_database_url else dsn
    connection = await _listening(settings, direct, channels, heard)
    try:
        yield heard
    finally:
        if connection is not None:
            with contextlib.suppress(*FAULTS):
                async with asyncio.timeout(CLOSE_SECONDS + 1):
                    await connection.close(timeout=CLOSE_SECONDS)
            connection.terminate()


async def _listening(settings: Settings, dsn: str, channels: tuple[str, ...], heard: asyncio.Event) -> Any:
    """A session that listens, or None where there can be none."""
    try:
        connection = await connect_once(settings, dsn, "watch")
    except DatabaseError:
        return None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            async with connection.transaction():  # within one, a pooler does not change the session
                pid = await connection.fetchval("SELECT pg_backend_pid()", timeout=ANSWER_SECONDS)
            if pid == connection.get_server_pid():
                for channel in channels:
                    await connection.add_listener(f"{settings.db_schema}_{channel}", lambda *_said: heard.set())
                return connection
    except FAULTS:
        pass  # the caller's own looks meet whatever is wrong, and say it
    connection.terminate()
    return None
