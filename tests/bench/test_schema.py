"""A schema of the bench's own: made, dropped, and nobody else's touched."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from mailworkers.bench.schema import NAME, own_schema
from mailworkers.settings import Settings
from tests.support.jobs import insert

CONNECT_SECONDS = 10.0


async def schemas(url: str) -> set[str]:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        rows = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'mailworkers%'")
    finally:
        await connection.close(timeout=CONNECT_SECONDS)
    return {row["nspname"] for row in rows}


async def test_it_is_there_while_it_is_used(settings: Settings, database_url: str, app_connection: Any) -> None:
    await insert(app_connection)

    async with own_schema(settings, database_url) as first, own_schema(settings, database_url) as second:
        assert first != second
        assert NAME.fullmatch(first)
        assert await schemas(database_url) == {"mailworkers", first, second}

    assert await schemas(database_url) == {"mailworkers"}


async def test_it_goes_whatever_ends_the_bench(settings: Settings, database_url: str) -> None:
    with pytest.raises(RuntimeError):
        async with own_schema(settings, database_url):
            raise RuntimeError("in the middle")

    assert await schemas(database_url) == {"mailworkers"}


async def test_what_a_killed_bench_left_goes_with_the_next(settings: Settings, database_url: str) -> None:
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS)
    try:
        await connection.execute("CREATE SCHEMA mailworkers_bench_00000001")
        await connection.execute(
            "COMMENT ON SCHEMA mailworkers_bench_00000001 IS 'mailworkers bench: dropped at its end, or by the next one'"
        )
        await connection.execute("CREATE SCHEMA mailworkers_bench_00000002")  # somebody's own, by the look of it
    finally:
        await connection.close(timeout=CONNECT_SECONDS)

    async with own_schema(settings, database_url):
        pass

    assert await schemas(database_url) == {"mailworkers", "mailworkers_bench_00000002"}
