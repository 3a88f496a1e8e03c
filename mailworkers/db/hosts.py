"""Which of the hosts of a URL to connect to: the one that served last, then the others in turn, each for a bounded time.

asyncpg tries a list of hosts in its order and under one time-out. Where the first host is gone without a trace (no power, a
pulled cable), that time-out ends before the second is asked, each time again. So hosts are tried one by one here.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

HOST_SECONDS = 3.0  # a host that is there answers within a lost packet or two; also below what waits for a connection
# The next host may be the one: nobody there, just starting or ending, or not what target_session_attrs asks for.
NEXT = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TargetServerAttributeNotMatched,
)


class Hosts:
    """The hosts of one URL.

    Args:
        dsn: names any number of them, in the way of libpq: `postgresql://user@one,two:5433/letters`.

    Raises:
        ValueError: a port is no number.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._hosts = _named(dsn)
        self._first = 0

    async def connect(self, **options: Any) -> Any:
        """Connect to the first host that can be used, as `asyncpg.connect` does. Raises what it raises, of the last host.

        Where a caller's time-out ends a try, the next one begins with the next host.
        """
        if len(self._hosts) < 2:
            return await asyncpg.connect(self._dsn, **options)
        for tried in range(1, len(self._hosts) + 1):
            place = self._first
            try:
                async with asyncio.timeout(HOST_SECONDS):
                    return await asyncpg.connect(self._dsn, **{**options, **self._hosts[place]})
            except NEXT:
                self._turn_from(place)
                if tried == len(self._hosts):
                    raise
            except asyncio.CancelledError:
                self._turn_from(place)
                raise
        raise AssertionError("the last host's error has been raised")

    def _turn_from(self, place: int) -> None:
        """Unless another connection's try has done so meanwhile."""
        if place == self._first:
            self._first = (place + 1) % len(self._hosts)


@cache
def hosts_of(dsn: str) -> Hosts:
    """The one object for that URL: all connections of a process go by what one of them learnt."""
    return Hosts(dsn)


async def connect(dsn: str, **options: Any) -> Any:
    """As `asyncpg.connect`, to the host that can be used. Raises ValueError too, for a URL that cannot be read."""
    return await hosts_of(dsn).connect(**options)


def shown(dsn: str) -> str:
    """The hosts and ports of a URL, for messages; nothing else of it, and "the database" where they cannot be read."""
    try:
        named = [(host["host"], host.get("port")) for host in _named(dsn)]
    except ValueError:
        return "the database"
    return ", ".join([f"{host}:{port}" if port else host for host, port in named if host]) or "the database"


def _named(dsn: str) -> list[dict[str, Any]]:
    parts = urlsplit(dsn)
    listed = parts.netloc.rpartition("@")[2]
    if listed:
        return [_one(unquote(host)) for host in listed.split(",")]
    asked = parse_qs(parts.query)
    hosts = asked.get("host", [""])[-1].split(",")
    ports = asked.get("port", [""])[-1].split(",")
    if len(ports) == 1:  # one for all, as libpq has it
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise ValueError(f"the database's URL names {len(hosts)} hosts and {len(ports)} ports")
    return [_one(host) | ({"port": int(port)} if port else {}) for host, port in zip(hosts, ports, strict=True)]


def _one(host: str) -> dict[str, Any]:
    if host.startswith("["):  # an IPv6 address
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    return {"host": name, "port": int(port)} if port else {"host": name}
