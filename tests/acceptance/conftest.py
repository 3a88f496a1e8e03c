"""Daemons as processes, and who they are to the database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support.daemon import DaemonProcess

CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 60.0

StartDaemon = Callable[..., DaemonProcess]


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One loop, whatever --loop says: what is tested here runs in processes of its own, on the loop that it chooses."""
    return {"asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    """A connection that may do everything, for looking at the record."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)


@pytest.fixture
async def worker_url(database_url: str, owner: Any) -> AsyncIterator[str]:
    """The database as a user sees it who has the role `mailworkers_worker` and no other right: the daemon's."""
    async with login(owner, database_url, "IN ROLE mailworkers_worker") as url:
        yield url


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons, and ends those that the test leaves."""
    daemons: list[DaemonProcess] = []

    def start(database_url: str, relay_port: int, **settings: Any) -> DaemonProcess:
        daemons.append(DaemonProcess(tmp_path, None, DATABASE_URL=database_url, SMTP_PORT=relay_port, **settings))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.close()


@asynccontextmanager
async def login(owner: Any, database_url: str, options: str = "") -> AsyncIterator[str]:
    """The DSN of a user of its own, made with these options and dropped afterwards."""
    name, password = f"mailworkers_test_{secrets.token_hex(4)}", secrets.token_hex(8)
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {options}")
    parts = urlsplit(database_url)
    host = parts.netloc.rpartition("@")[2]
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:{password}@{host}"))
    finally:
        await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
        await owner.execute(f"DROP ROLE {name}")
