"""What housekeeping may forget, and what it may not."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import Database
from mailworkers.queue import change
from tests.support.jobs import insert

MONTHS_KEPT = 12
AT_ONCE = 100


async def after_three_years(database: Database) -> None:
    """Keys are as old as that, and purged."""
    async with database.claims.connection("the test") as connection:
        await connection.execute(
            "UPDATE mailworkers.email_idempotency_keys SET created_at = created_at - interval '3 years'"
        )
    await database.claims.execute("maintenance/purge_keys", MONTHS_KEPT, AT_ONCE)


async def test_an_idempotency_key_outlives_its_retention_with_its_job_and_the_jobs_history(
    database: Database, app_connection: Any
) -> None:
    # given a job that was inserted long ago for now, then its key is taken while it lives
    (job,) = await insert(app_connection, idempotency_key="renewal")
    await after_three_years(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(app_connection, idempotency_key="renewal")

    # and while its end is in the history
    await change.cancel(database.claims, job)
    await after_three_years(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(app_connection, idempotency_key="renewal")

    # and its age counts from that end
    async with database.claims.connection("the test") as connection:
        assert await connection.fetchval(
            "SELECT k.created_at = s.finished_at FROM mailworkers.email_idempotency_keys AS k, mailworkers.email_sends AS s"
        )

    # and free afterwards
    async with database.claims.connection("the test") as connection:
        await connection.execute("DELETE FROM mailworkers.email_sends")
    await after_three_years(database)
    assert await insert(app_connection, idempotency_key="renewal")


async def test_a_young_key_is_kept_though_nobody_knows_its_job_any_more(
    database: Database, app_connection: Any
) -> None:
    await insert(app_connection, idempotency_key="order")
    async with database.claims.connection("the test") as connection:
        await connection.execute("DELETE FROM mailworkers.email_jobs")
    await database.claims.execute("maintenance/purge_keys", MONTHS_KEPT, AT_ONCE)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(app_connection, idempotency_key="order")
