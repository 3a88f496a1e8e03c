"""The daemon's one connection that stays: it holds the lock that proves life, hears of new jobs, and says "wake me".

A pooler in transaction mode lends a server session for one transaction only: no session locks, no LISTEN. It is told by
the backend's pid: what the connection was given differs from what the server says. Then the daemon polls, and
its lease alone decides, unless DIRECT_DATABASE_URL leads past the pooler.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from mailworkers.db.faults import as_ours
from mailworkers.db.pool import FAULTS, connect_once
from mailworkers.db.queries import Queries
from mailworkers.errors import DatabaseRefused, DatabaseUnavailable
from mailworkers.settings import Settings

ANSWER_SECONDS = 5.0  # a session that does not answer for so long is taken for lost
CLOSE_SECONDS = 2.0


class Presence:
    """One session. When it is lost, make a new one.

    `lost` is set when the connection ends; `woken` when a notification came; `sessions` tells whether this way to the
    database has sessions at all.
    """

    def __init__(self, connection: Any, queries: Queries, *, sessions: bool, woken: asyncio.Event) -> None:
        self.sessions = sessions
        self.woken = woken
        self.lost = asyncio.Event()
        self._connection = connection
        self._queries = queries
        self._asking = asyncio.Lock()
        self._announced = False
        connection.add_termination_listener(self._ended)

    @classmethod
    async def open(
        cls,
        settings: Settings,
        dsn: str,
        woken: asyncio.Event,
        campaigns: asyncio.Event | None = None,
        limits: asyncio.Event | None = None,
    ) -> Presence:
        """Connect, and listen where there are sessions.

        Args:
            settings: names and time-outs; DIRECT_DATABASE_URL wins over `dsn`.
            dsn: the database.
            woken: set at each notification of new jobs, so that any number of them costs one look.
            campaigns: likewise, where a campaign's state has changed.
            limits: likewise, where a limit has.

        Raises:
            DatabaseUnavailable, DatabaseRefused: as `connect_once`.
        """
        direct = settings.direct_database_url.get_secret_value() if settings.direct_database_url else dsn
        queries = Queries(settings.db_schema)
        connection = await connect_once(settings, direct, "presence")
        try:
            async with connection.transaction():  # within one, a pooler does not change the session
                pid = await connection.fetchval("SELECT pg_backend_pid()", timeout=ANSWER_SECONDS)
            sessions = pid == connection.get_server_pid()
            presence = cls(connection, queries, sessions=sessions, woken=woken)
            if sessions:
                await connection.add_listener(f"{settings.db_schema}_jobs", presence._heard)
                if campaigns is not None:
                    await connection.add_listener(f"{settings.db_schema}_campaigns", lambda *_said: campaigns.set())
                if limits is not None:
                    await connection.add_listener(f"{settings.db_schema}_limits", lambda *_said: limits.set())
        except FAULTS as fault:
            connection.terminate()
            raise as_ours(fault, "opening the session") from fault
        else:
            return presence

    async def prove(self, daemon_id: int) -> bool:
        """Take the lock that proves this daemon's life; False where there are no sessions.

        Raises:
            DatabaseUnavailable: the session is lost.
            DatabaseRefused: another session holds this daemon's lock.
        """
        if not self.sessions:
            return False
        if not await self._ask("leases/hold_lock", daemon_id):
            raise DatabaseRefused(f"another session holds the lock of daemon {daemon_id}")
        return True

    async def announce_idle(self) -> bool:
        """Ask inserters to notify; whether it was granted. Until then, poll. Raises DatabaseUnavailable."""
        if not self.sessions or self._announced:
            return self._announced
        self._announced = bool(await self._ask("leases/announce_idle"))
        return self._announced

    async def withdraw_idle(self) -> None:
        """Spare inserters the notification. Raises DatabaseUnavailable."""
        if self._announced:
            self._announced = False
            await self._ask("leases/withdraw_idle")

    @property
    def announced(self) -> bool:
        """Whether an insert now would wake this daemon."""
        return self._announced and not self.lost.is_set()

    async def check(self) -> None:
        """Ask for a sign of life; a connection that is dead without knowing is found here. Raises DatabaseUnavailable."""
        async with self._asking:
            # Without preparing it: a pooler may run the two halves of that in two sessions.
            await self._bounded(self._connection.execute("SELECT 1", timeout=ANSWER_SECONDS))

    async def close(self) -> None:
        """End the session and with it its locks, bounded."""
        with contextlib.suppress(*FAULTS):
            async with asyncio.timeout(CLOSE_SECONDS + 1):
                await self._connection.close(timeout=CLOSE_SECONDS)
        self._connection.terminate()

    async def _ask(self, name: str, *args: Any) -> Any:
        async with self._asking:
            return await self._bounded(self._connection.fetchval(self._queries[name], *args, timeout=ANSWER_SECONDS))

    async def _bounded(self, question: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS + 1):
                return await question
        except FAULTS as fault:
            self.lost.set()
            self._connection.terminate()
            raise DatabaseUnavailable(f"the daemon's session with the database is lost: {fault}") from fault

    def _heard(self, *_notification: object) -> None:
        self.woken.set()

    def _ended(self, _connection: object) -> None:
        self._announced = False
        self.lost.set()
        self.woken.set()
