"""Several hosts in one URL: whichever can be used, and none of them for longer than its share of the time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from mailworkers.db import hosts
from mailworkers.db.hosts import Hosts
from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseUnavailable
from mailworkers.settings import Settings
from tests.support.daemon import free_port

HOST_SECONDS = 0.5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hosts, "HOST_SECONDS", HOST_SECONDS)
    hosts.hosts_of.cache_clear()
    yield
    hosts.hosts_of.cache_clear()


def with_first(dsn: str, port: int, extra: str = "") -> str:
    """The same URL with a host before its own."""
    parts = urlsplit(dsn)
    user = parts.netloc.rpartition("@")[0]
    own = f"{parts.hostname}:{parts.port or 5432}"
    return f"postgresql://{user}@127.0.0.1:{port},{own}{parts.path}?{extra}"


@pytest.fixture
def tcp_url(database_url: str) -> str:
    if urlsplit(database_url).hostname is None:
        pytest.skip("the test's server is not reached by TCP")
    return database_url


class Silent:
    """A host on loopback that takes connections and says nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])

    def connections(self) -> int:
        """How many were made since this was asked last."""
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    host = Silent()
    yield host
    host.close()


@pytest.mark.parametrize(
    ("dsn", "named"),
    [
        ("postgresql://u:p@one,two:5433/d", [{"host": "one"}, {"host": "two", "port": 5433}]),
        ("postgresql://u@[::1]:5433,[fe80::1]/d", [{"host": "::1", "port": 5433}, {"host": "fe80::1"}]),
        ("postgresql:///d?host=one,two", [{"host": "one"}, {"host": "two"}]),
        ("postgresql://u@%2Frun%2Fpg,two/d", [{"host": "/run/pg"}, {"host": "two"}]),
    ],
)
async def test_hosts_are_read_as_libpq_does(
    dsn: str, named: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    async def refuse(_dsn: str, **options: Any) -> None:
        tried.append(options)
        raise ConnectionRefusedError

    monkeypatch.setattr("mailworkers.db.hosts.asyncpg.connect", refuse)
    with pytest.raises(ConnectionRefusedError):
        await Hosts(dsn).connect()
    assert tried == named


@pytest.mark.parametrize(
    ("query", "ports"),
    [("host=one,two&port=1,2", [1, 2]), ("host=one,two&port=3", [3, 3]), ("host=one,two", [None, None])],
)
def test_hosts_and_ports_in_the_query_are_paired(query: str, ports: list[int | None]) -> None:
    named = hosts._named(f"postgresql://user@/letters?{query}")
    assert [(host["host"], host.get("port")) for host in named] == list(zip(("one", "two"), ports, strict=True))


def test_as_many_ports_as_hosts_or_one() -> None:
    with pytest.raises(ValueError, match="3 hosts and 2 ports"):
        Hosts("postgresql://user@/letters?host=a,b,c&port=1,2")


async def test_a_port_that_is_no_number_is_an_unreadable_url() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await hosts.connect("postgresql://one,two:port/d")


async def test_a_host_that_says_nothing_costs_its_share_once(settings: Settings, tcp_url: str, silent: Silent) -> None:
    began = time.monotonic()
    database = await Database.connect(settings, with_first(tcp_url, silent.port))
    assert time.monotonic() - began >= HOST_SECONDS
    assert silent.connections() == 1  # of all those that a daemon opens
    assert await database.claims.fetchval("inspect/schema_version")
    await database.close()


async def test_who_may_not_wait_for_a_silent_host_begins_with_the_next_one(tcp_url: str, silent: Silent) -> None:
    dsn = with_first(tcp_url, silent.port)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(HOST_SECONDS / 5):
            await hosts.connect(dsn)
    assert silent.connections() == 1
    connection = await hosts.connect(dsn)
    assert silent.connections() == 0
    await connection.close()


async def test_a_refused_password_is_told_and_not_tried_elsewhere(tcp_url: str) -> None:
    port = int(urlsplit(tcp_url).port or 5432)
    wrong = with_first(tcp_url, port).replace(urlsplit(tcp_url).netloc.rpartition("@")[0], "nobody:wrong", 1)
    with pytest.raises(asyncpg.PostgresError):
        await hosts.connect(wrong)


async def test_where_no_host_is_there_it_says_so(settings: Settings) -> None:
    dsn = f"postgresql://u@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/d"
    with pytest.raises(DatabaseUnavailable, match="found no database"):
        await Database.connect(settings, dsn)


async def test_one_gateway_that_meets_a_read_only_server_has_all_leave_it(database: Database) -> None:
    moved = []
    database.on_moved = lambda: moved.append(True)
    before = {}
    for gateway in (database.acks, database.leases):
        async with gateway.connection("the test") as connection:
            before[gateway] = connection.get_server_pid()
    async with database.claims.connection("the test") as connection:
        await connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable, match="25006"):
        await database.claims.execute("leases/forget")
    for gateway, pid in before.items():
        async with gateway.connection("the test") as connection:
            assert connection.get_server_pid() != pid
    assert moved == [True]


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://shop:secret@db.example:5433/shop", "db.example:5433"),
        ("postgresql://shop:secret@one.example,two.example:7/shop", "one.example, two.example:7"),
        ("postgresql:///shop?host=/run/postgresql", "/run/postgresql"),
        ("postgresql:///shop", "the database"),
        ("postgresql://shop:secret@one.example:port/shop", "the database"),
    ],
)
def test_messages_show_hosts_and_nothing_else_of_a_url(dsn: str, shown: str) -> None:
    assert hosts.shown(dsn) == shown
