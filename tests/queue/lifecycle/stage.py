"""Where the machine plays: one migrated database whose clock is set by the test, and an event loop to run on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Self, TypeVar
from unittest.mock import patch

import asyncpg

from mailworkers.db.pool import Database
from mailworkers.queue import ack, marks
from mailworkers.queue.presence import Presence
from mailworkers.settings import Settings
from tests.queue.lifecycle.clock import Clock
from tests.support.waiting import eventually

STATEMENT_SECONDS = 30.0
TABLES = (
    "email_jobs", "email_sends", "email_retry_jobs", "email_daemons", "email_workers", "worker_metrics",
    "email_idempotency_keys",
)  # fmt: skip

T = TypeVar("T")
Row = tuple[Any, ...]


class Stage:
    """`database` is the program's own way, `app` a connection with an application's rights, `eye` only looks."""

    database: Database
    clock: Clock
    app: Any
    eye: Any

    def __init__(self, dsn: str, settings: Settings) -> None:
        self._dsn = dsn
        self._settings = settings
        self._runner = asyncio.Runner()
        self._patches = [
            patch.object(ack, "FIRST_BACKOFF_SECONDS", 0.0),
            patch.object(marks, "GATHER_SECONDS", 0.0),
        ]

    def __enter__(self) -> Self:
        for one in self._patches:
            one.start()
        self.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._close())
        self._runner.close()
        for one in self._patches:
            one.stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on the stage's loop."""
        return self._runner.run(coroutine)

    async def clear(self) -> None:
        """Begin again: empty tables, the first moment."""
        await self.eye.execute("; ".join(f"DELETE FROM mailworkers.{table}" for table in TABLES))
        await self.clock.reset()

    async def session(self) -> Presence:
        """A session that proves a daemon's life."""
        return await Presence.open(self._settings, self._dsn, asyncio.Event())

    async def session_is_gone(self, daemon_id: int) -> None:
        """Return when PostgreSQL has noticed that the session ended."""

        async def gone() -> bool:
            held = await self.eye.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::integer::oid "
                "AND classid = hashtext('mailworkers.daemon')::oid",
                daemon_id,
            )
            return not held

        await eventually(gone, "the session's lock is free")

    async def _open(self) -> None:
        self.eye = await asyncpg.connect(self._dsn, command_timeout=STATEMENT_SECONDS)
        self.clock = await Clock.install(self._dsn, self.eye)
        self.app = await asyncpg.connect(self._dsn, command_timeout=STATEMENT_SECONDS)
        await self.app.execute("SET ROLE mailworkers_app")
        self.database = await Database.connect(self._settings, self._dsn)

    async def _close(self) -> None:
        await self.database.close()
        await self.app.close()
        await self.eye.close()

    # ------------------------------------------------------------ what the database holds

    async def live(self) -> dict[int, Row]:
        rows = await self.eye.fetch(
            "SELECT id, status, attempts, rescues, lease, daemon_id, deadline, marked_at, scheduled_at, message_token, "
            "last_reply, put_off_since FROM mailworkers.email_jobs"
        )
        return {row[0]: tuple(row)[1:] for row in rows}

    async def ended(self) -> list[Row]:
        rows = await self.eye.fetch(
            "SELECT job_id, status, attempts, finished_at, message_id, reply, content ->> 'message_token' "
            "FROM mailworkers.email_sends"
        )
        return [tuple(row) for row in rows]

    async def shown(self) -> list[Row]:
        """What the view tells applications."""
        rows = await self.app.fetch(
            "SELECT job_id, status, attempts, scheduled_at, reply, message_id, finished_at "
            "FROM mailworkers.email_job_status ORDER BY job_id"
        )
        return [tuple(row) for row in rows]

    async def keys(self) -> dict[tuple[str, str], int]:
        rows = await self.eye.fetch(
            "SELECT workspace_id, idempotency_key, job_id FROM mailworkers.email_idempotency_keys"
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def failures(self) -> dict[int, list[datetime]]:
        rows = await self.eye.fetch(
            "SELECT job_id, array_agg(created_at ORDER BY id) FROM mailworkers.email_retry_jobs GROUP BY job_id"
        )
        return {row[0]: row[1] for row in rows}

    async def figures(self) -> dict[tuple[datetime, int], dict[str, int]]:
        rows = await self.eye.fetch(
            "SELECT minute, daemon_id, sent, failed, abandoned, unknown, retried, snoozed FROM mailworkers.worker_metrics"
        )
        return {(row["minute"], row["daemon_id"]): {name: n for name, n in list(row.items())[2:] if n} for row in rows}

    async def ended_daemons(self) -> dict[int, datetime | None]:
        rows = await self.eye.fetch("SELECT id, ended_at FROM mailworkers.email_daemons")
        return {row[0]: row[1] for row in rows}
