"""The embedded server as its users see it."""

from __future__ import annotations

import asyncpg

from mailworkers.db.pool import Database


async def test_an_application_inserts_with_the_least_that_works(app_connection: asyncpg.Connection) -> None:
    await app_connection.execute(
        "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body) VALUES ('ann@example.org', 'Hello', 'Hi')"
    )


async def test_database_answers(database: Database) -> None:
    async with database.claims.connection("x") as connection:
        assert await connection.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == 0
