"""The database of one command: the one that was given, or the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailworkers.cli.output import say
from mailworkers.db.connect import database_url
from mailworkers.db.embedded import default_home, is_up
from mailworkers.db.faults import RIGHTS_HINT
from mailworkers.db.migrate import require_current
from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseRefused
from mailworkers.settings import Settings

WORKER, SENDER, READONLY = "mailworkers_worker", "mailworkers_app, mailworkers_readonly", "mailworkers_readonly"


@asynccontextmanager
async def found(settings: Settings, role: str = WORKER) -> AsyncIterator[str]:
    """Where the database is; the embedded server runs, migrated, as long as the block does.

    Args:
        settings: they say where.
        role: what (or which several) a user who lacks a right is told to ask for.

    Raises:
        DatabaseError: it cannot be reached, refuses, or cannot be started.
    """
    # Once told is enough: while somebody uses the server, that one has said it.
    if settings.database_url is None and not await asyncio.to_thread(is_up, settings.data_dir or default_home()):
        say("no database given: using the embedded server")
    try:
        async with database_url(settings) as dsn:
            yield dsn
    except DatabaseRefused as problem:
        if problem.hint != RIGHTS_HINT:
            raise
        raise DatabaseRefused(problem.message, f"Give the user what it lacks: GRANT {role} TO user") from problem


@asynccontextmanager
async def opened(settings: Settings, role: str = WORKER) -> AsyncIterator[Database]:
    """Connections to it, after its schema has been found to be this version's.

    Raises:
        DatabaseError: as `found`, or the schema is older or newer.
    """
    async with found(settings, role) as dsn:
        await require_current(dsn, settings.db_schema)
        database = await Database.connect(settings, dsn)
        try:
            yield database
        finally:
            await database.close()
