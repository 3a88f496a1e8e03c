"""A server of the suite's own, a database and daemons for each case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.cluster import Cluster, cluster_folder
from tests.support.daemon import DaemonProcess
from tests.support.measured import Measured as Measured  # noqa: PLC0414 -- the cases take it from here

CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 60.0


@dataclass(slots=True)
class Place:
    """A server, a database on it, and a connection of its owner's."""

    cluster: Cluster
    database: str
    owner: Any

    def dsn(self, port: int | None = None) -> str:
        """The daemon's way to the database, through another port where one is given."""
        return self.cluster.dsn(self.database, port=port)

    async def connect_again(self) -> None:
        """A new connection, where the fault ended the old one."""
        self.owner.terminate()
        self.owner = await _connected(self.dsn())


@pytest.hookimpl(tryfirst=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One loop, whatever --loop says: what is tested here runs in processes of its own, on the loop that it chooses."""
    return {"asyncio": asyncio.SelectorEventLoop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.database)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: a daemon under a fault that really happens, by its number")


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    """The suite's own server. A case that stops or freezes it leaves it running again."""
    with cluster_folder() as folder:
        cluster = Cluster(folder)
        asyncio.run(cluster.start())
        yield cluster
        cluster.close()


@pytest.fixture
async def place(server: Cluster) -> AsyncIterator[Place]:
    """A migrated database on it."""
    if not server.running:
        await server.start()
    database = await server.database()
    made = Place(server, database, await _connected(server.dsn(database)))
    yield made
    made.owner.terminate()


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., DaemonProcess]]:
    """Starts daemons, and ends those that the case leaves."""
    daemons: list[DaemonProcess] = []

    def start(
        database_url: str, relay_port: int, variables: Mapping[str, str] | None = None, **settings: Any
    ) -> DaemonProcess:
        daemons.append(DaemonProcess(tmp_path, variables, DATABASE_URL=database_url, SMTP_PORT=relay_port, **settings))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.close()


async def _connected(url: str) -> Any:
    return await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
