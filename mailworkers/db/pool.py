"""Bounded calls to PostgreSQL: small pools, so that heartbeats and acks never wait behind claims, nor these behind campaigns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from mailworkers.db import hosts, pooler
from mailworkers.db.faults import EXPIRING_CODES, READ_ONLY, as_ours
from mailworkers.db.queries import Queries
from mailworkers.settings import Settings

ACQUIRE_SECONDS = 5.0  # a pool that gives no connection for so long has hung connections
CONNECT_SECONDS = 10.0  # for the whole list of hosts
CLOSE_SECONDS = 3.0  # part of the time that systemd grants for stopping
CLAIM_CONNECTIONS = 3  # dispatcher, health and commands
ACK_CONNECTIONS = 1  # acks follow each other: one group commit at a time
LEASE_CONNECTIONS = 1
CAMPAIGN_CONNECTIONS = 1  # opened when first needed: a database without campaigns is spared it
IDLE_LIFETIME_SECONDS = 300.0
# Errors that asyncpg and the event loop raise where the database or the way to it is at fault.
FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]


def server_settings(settings: Settings, role: str) -> dict[str, str]:
    """Session settings of every connection: no statement, lock or open transaction may hang a daemon."""
    milliseconds = str(int(settings.database_timeout_seconds * 1000))
    return {
        "application_name": f"mailworkers {role} {settings.instance_name}"[:63],
        "statement_timeout": milliseconds,
        "lock_timeout": str(int(settings.database_timeout_seconds * 500)),
        "idle_in_transaction_session_timeout": milliseconds,
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": milliseconds,
        "timezone": "UTC",
        "synchronous_commit": "on",  # whatever the role's default: a recorded end is on disk
        "default_transaction_isolation": "read committed",  # SKIP LOCKED and the fences are written for it
        "jit": "off",  # every statement is short; compiling costs more than it gains
        "plan_cache_mode": "force_generic_plan",  # arrays of any length take the same index: plan once
        # Every statement is a nested loop over indexes. A queue's statistics are always stale, and a plan that follows
        # them flips to a scan or a sort of the whole table just when the queue is long.
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    }


class Gateway:
    """Runs named queries on a pool of its own. Every call is bounded and fails with one of our errors.

    `statements` counts the calls; `on_read_only` is called where the server turns out to be no longer the one to write to.

    Args:
        pool: its own.
        queries: by name.
        timeout: seconds for each.
        opening: statements that begin each use of a connection, which then is one transaction; empty where the pool's
            connections keep their settings.
    """

    def __init__(self, pool: asyncpg.Pool, queries: Queries, timeout: float, opening: str = "") -> None:
        self._pool = pool
        self._queries = queries
        self._timeout = timeout
        self._opening = opening
        self.statements = 0
        self.on_read_only: Callable[[], Awaitable[None]] = self.expire

    async def fetch(self, name: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of the query `name`.

        Raises:
            DatabaseUnavailable: waiting may help.
            DatabaseRefused: a person must act.
        """
        self.statements += 1
        async with self.connection(f"the query {name}") as connection:
            rows: list[asyncpg.Record] = await connection.fetch(self._queries[name], *args, timeout=self._timeout)
            return rows

    async def fetchrow(self, name: str, *args: Any) -> asyncpg.Record | None:
        """The first row, or None. Raises as `fetch`."""
        rows = await self.fetch(name, *args)
        return rows[0] if rows else None

    async def fetchval(self, name: str, *args: Any) -> Any:
        """The first column of the first row, or None. Raises as `fetch`."""
        row = await self.fetchrow(name, *args)
        return row[0] if row else None

    async def execute(self, name: str, *args: Any) -> None:
        """Run for its effect. Raises as `fetch`."""
        await self.fetch(name, *args)

    @asynccontextmanager
    async def transaction(self, doing: str) -> AsyncIterator[Fetch]:
        """Several named queries in one transaction, each of which sees what was committed before it began.

        Gives a function with the arguments of `fetch`. Faults come out as ours, described by `doing`.
        """
        async with self.connection(doing) as connection, connection.transaction():

            async def fetch(name: str, *args: Any) -> list[asyncpg.Record]:
                rows: list[asyncpg.Record] = await connection.fetch(self._queries[name], *args, timeout=self._timeout)
                return rows

            yield fetch

    @asynccontextmanager
    async def connection(self, doing: str) -> AsyncIterator[Any]:
        """A connection for more than one named query; faults come out as ours, described by `doing`."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                if self._opening:
                    async with connection.transaction():
                        await connection.execute(self._opening, timeout=self._timeout)
                        yield connection
                else:
                    yield connection
        except FAULTS as fault:
            code = getattr(fault, "sqlstate", None)
            if code in EXPIRING_CODES:
                await self.expire()
            if code == READ_ONLY:
                await self.on_read_only()
            raise as_ours(fault, doing) from fault

    @property
    def size(self) -> tuple[int, int]:
        """Connections open, and of them idle."""
        return self._pool.get_size(), self._pool.get_idle_size()

    async def expire(self) -> None:
        """Use none of the connections again that there are now."""
        await self._pool.expire_connections()

    async def close(self) -> None:
        """Close politely within `CLOSE_SECONDS`, then at once."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except FAULTS:
            self._pool.terminate()


class Database:
    """The gateways of one process, and its queries. `on_moved` is called where the server that they lead to became
    read-only, so that whatever else is connected to it leaves too."""

    def __init__(
        self, claims: Gateway, acks: Gateway, leases: Gateway, campaigns: Gateway, queries: Queries, dsn: str
    ) -> None:
        self.claims = claims
        self.acks = acks
        self.leases = leases
        self.campaigns = campaigns
        self._all = (claims, acks, leases, campaigns)
        self.queries = queries
        self.dsn = dsn
        self.on_moved: Callable[[], None] = lambda: None
        for gateway in self._all:
            gateway.on_read_only = self._leave

    async def _leave(self) -> None:
        """One gateway met a read-only server: the others are not to find out by themselves, each at its time."""
        for gateway in self._all:
            await gateway.expire()
        self.on_moved()

    @classmethod
    async def connect(cls, settings: Settings, dsn: str) -> Self:
        """Open the pools, with one live connection as proof in each that is always needed.

        Args:
            settings: time-outs, schema and names.
            dsn: where the database is.

        Raises:
            DatabaseUnavailable: it cannot be reached just now.
            DatabaseRefused: it answered, and said no.
        """
        queries = Queries(settings.db_schema)
        gateways: list[Gateway] = []
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                pooled = await pooler.leads_through_a_pooler(dsn, CONNECT_SECONDS)
            for role, at_once, size in (
                ("claims", 1, CLAIM_CONNECTIONS),
                ("acks", 1, ACK_CONNECTIONS),
                ("leases", 1, LEASE_CONNECTIONS),
                ("campaigns", 0, CAMPAIGN_CONNECTIONS),
            ):
                async with asyncio.timeout(CONNECT_SECONDS):
                    pool = await _open_pool(settings, dsn, role, (at_once, size), pooled=pooled)
                opening = pooler.for_one_transaction(server_settings(settings, role)) if pooled else ""
                gateways.append(Gateway(pool, queries, settings.database_timeout_seconds, opening))
        except (*FAULTS, ValueError) as fault:
            for gateway in gateways:
                await gateway.close()
            raise as_ours(fault, f"connecting to {hosts.shown(dsn)}") from fault
        claims, acks, leases, campaigns = gateways
        return cls(claims, acks, leases, campaigns, queries, dsn)

    async def close(self) -> None:
        """Close all pools, bounded."""
        async with asyncio.TaskGroup() as group:
            for gateway in self._all:
                group.create_task(gateway.close())

    @property
    def statements(self) -> int:
        """Queries that were run since the start."""
        return sum(gateway.statements for gateway in self._all)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Of each pool: connections open, and of them idle."""
        return {
            "claims": self.claims.size,
            "acks": self.acks.size,
            "leases": self.leases.size,
            "campaigns": self.campaigns.size,
        }


async def _open_pool(settings: Settings, dsn: str, role: str, size: tuple[int, int], *, pooled: bool) -> asyncpg.Pool:
    options = server_settings(settings, role)
    return await asyncpg.create_pool(
        dsn,
        min_size=size[0],
        max_size=size[1],
        timeout=CONNECT_SECONDS,
        command_timeout=settings.database_timeout_seconds,
        max_inactive_connection_lifetime=IDLE_LIFETIME_SECONDS,
        server_settings=pooler.passed_on(options) if pooled else options,
        reset=_nothing_to_reset,
        connect=hosts.connect,
        **(pooler.NAMELESS if pooled else {}),
    )


async def _nothing_to_reset(_connection: object) -> None:
    """A named query leaves nothing behind in its session, so the round trip that would clean up is spared."""


async def connect_once(settings: Settings, dsn: str, role: str) -> Any:
    """One connection outside every pool, for what needs a session of its own. Where the way leads through a pooler, it has
    none, and only what the pooler passes on is set.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as `Database.connect`.
    """
    options = server_settings(settings, role)
    timeouts = {"timeout": CONNECT_SECONDS, "command_timeout": settings.database_timeout_seconds}
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if await pooler.leads_through_a_pooler(dsn, CONNECT_SECONDS):
                return await hosts.connect(
                    dsn, server_settings=pooler.passed_on(options), **timeouts, **pooler.NAMELESS
                )
            return await hosts.connect(dsn, server_settings=options, **timeouts)
    except (*FAULTS, ValueError) as fault:
        raise as_ours(fault, f"connecting to {hosts.shown(dsn)}") from fault
