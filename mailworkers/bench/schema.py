"""A schema of the bench's own, so that nobody's rows are touched; dropped at the end.

Its name is random, and a session holds a lock on that name while it is in use. What a killed bench left is known by its
comment and by its free lock, and the next bench drops it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mailworkers.db.faults import as_ours
from mailworkers.db.migrate import migrate
from mailworkers.db.pool import FAULTS, connect_once
from mailworkers.db.queries import Queries
from mailworkers.settings import Settings

PREFIX = "mailworkers_bench_"
NAME = re.compile(rf"{PREFIX}[0-9a-f]{{8}}")
COMMENT = "mailworkers bench: dropped at its end, or by the next one"


@asynccontextmanager
async def own_schema(settings: Settings, dsn: str) -> AsyncIterator[str]:
    """The name of a new, migrated schema; dropped when the block ends, however it does.

    Raises:
        DatabaseUnavailable, DatabaseRefused: the database cannot be reached, or does not let this user make a schema.
    """
    connection = await connect_once(settings.model_copy(update={"database_timeout_seconds": 60.0}), dsn, "bench")
    try:
        await _drop_leftovers(connection)
        name = f"{PREFIX}{secrets.token_hex(4)}"
        await connection.fetchval(Queries()["bench/hold"], name)
        try:
            await migrate(dsn, name)
            await connection.execute(f"COMMENT ON SCHEMA {name} IS '{COMMENT}'")
            yield name
        finally:
            await asyncio.shield(asyncio.create_task(_drop(connection, name)))
    except FAULTS as fault:
        raise as_ours(fault, "making a schema for the bench") from fault
    finally:
        connection.terminate()


async def _drop_leftovers(connection: Any) -> None:
    queries = Queries()
    for row in await connection.fetch(queries["bench/leftovers"], COMMENT):
        if await connection.fetchval(queries["bench/hold"], row["name"]):
            await _drop(connection, row["name"])


async def _drop(connection: Any, name: str) -> None:
    assert NAME.fullmatch(name), name
    await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
