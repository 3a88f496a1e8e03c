"""Which database: the one that was given, or the embedded server, started and migrated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailworkers.db.embedded import default_home, embedded_server
from mailworkers.db.migrate import migrate
from mailworkers.settings import Settings


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """The DSN to use as long as the block runs.

    Raises:
        EmbeddedServerError: none was given, and the embedded server cannot be started.
        DatabaseError: the embedded server's schema could not be brought up to this version.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    async with embedded_server(settings.data_dir or default_home()) as dsn:
        await migrate(dsn, settings.db_schema)
        yield dsn
