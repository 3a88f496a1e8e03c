"""Fixtures for all tests. Each test that asks for a database gets one of its own, dropped afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import Database
from mailworkers.settings import Settings
from tests.support.database import Databases, postgresql
from tests.support.measured import measured, pytest_terminal_summary  # noqa: F401 -- a fixture and pytest's hook
from tests.support.rights import can_mount
from tests.support.skips import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401 -- pytest's hooks

DATABASE_FIXTURES = {"databases", "database_url", "blank_database_url", "settings", "database", "app_connection"}
LOOPS = ("asyncio", "uvloop", "both")
# Folders whose code awaits little but statements: one loop is enough where both are asked for.
ONE_LOOP_FOLDERS = frozenset({"campaigns", "leads", "limits", "warming"})
KEPT_VARIABLES = ("MAILWORKERS_TEST_", "MAILWORKERS_POSTGRES_BIN")
CONVENTIONAL = ("DATABASE_URL", "SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASS", "SMTP_PASSWORD", "FROM_EMAIL",
                "WORKER_CONCURRENCY", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "NOTIFY_SOCKET")  # fmt: skip
CONNECT_SECONDS = 10.0
# Rights that some tests need: what a marker of that name means, and whether this user has it.
NEEDS: dict[str, tuple[str, Callable[[], bool]]] = {
    "root": ("needs root", lambda: os.geteuid() == 0),
    "mount": ("needs the right to mount a disk", can_mount),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop",
        choices=LOOPS,
        default=os.environ.get("MAILWORKERS_TEST_LOOP", "asyncio"),
        help="event loop of asynchronous tests; by default $MAILWORKERS_TEST_LOOP, else asyncio",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Nothing of the developer's own settings reaches a test."""
    for name, (about, _) in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {about}; not selected where that is missing")
    config.addinivalue_line("markers", "one_loop: runs on one event loop also where both are asked for: it is slow")
    # Run in a shell's background, tests would give that on to what they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name in CONVENTIONAL or (name.startswith("MAILWORKERS_") and not name.startswith(KEPT_VARIABLES)):
            del os.environ[name]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    chosen = config.getoption("--loop")
    if chosen == "both" and (_marked("one_loop")(item) or item.path.parent.name in ONE_LOOP_FOLDERS):
        chosen = "uvloop"
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}
    if chosen in ("asyncio", "both"):
        factories["asyncio"] = asyncio.SelectorEventLoop
    if chosen in ("uvloop", "both"):
        import uvloop  # noqa: PLC0415 -- not on every platform

        factories["uvloop"] = uvloop.new_event_loop
    return factories


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)
    # A right that this user lacks cannot be installed, so this is no skip, which CI would take for a failure.
    missing = {name for name, (_, given) in NEEDS.items() if any(map(_marked(name), items)) and not given()}
    left_out = [item for item in items if any(_marked(name)(item) for name in missing)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _marked(name: str) -> Callable[[pytest.Item], bool]:
    return lambda item: item.get_closest_marker(name) is not None


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The server that this run uses, to make databases on."""
    with postgresql() as server, Databases(server) as made:
        yield made


@pytest.fixture
def blank_database_url(databases: Databases) -> Iterator[str]:
    """The DSN of an empty database, not migrated."""
    dsn = databases.blank()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The DSN of a migrated database."""
    dsn = databases.migrated()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings for that database: no rate limits, quick to notice, a free port. Vary with `model_copy(update=…)`."""
    return Settings(
        database_url=database_url,
        instance="test",
        from_email="sender@example.org",
        http_port=0,
        poll_seconds=0.05,
        worker_rate_per_minute=0,
        worker_rate_per_hour=0,
        target_per_hour=0,
        drain_seconds=5,
        log_format="text",
    )


@pytest.fixture
async def database(settings: Settings, database_url: str) -> AsyncIterator[Database]:
    """The program's own way to the migrated database."""
    connected = await Database.connect(settings, database_url)
    yield connected
    await connected.close()


@pytest.fixture
async def app_connection(database_url: str) -> AsyncIterator[Any]:
    """A connection with the rights of an application, and no others."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    await connection.execute("SET ROLE mailworkers_app")
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)
