"""The databases that tests get: each its own, migrated or blank, gone afterwards."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.database import GIVEN, Databases, postgresql
from tests.support.embedded import ask

COUNT_JOBS = "SELECT count(*) FROM mailworkers.email_jobs"
ADD_JOB = (
    "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body) VALUES ('ann@example.org', 'Hello', 'Hi Ann')"
)


def test_what_one_test_writes_no_other_sees(databases: Databases) -> None:
    first, second = databases.migrated(), databases.migrated()
    ask(first, ADD_JOB)
    assert ask(first, COUNT_JOBS) == 1
    assert ask(second, COUNT_JOBS) == 0
    databases.drop(first)
    databases.drop(second)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        ask(first, "SELECT 1")


def test_a_blank_database_has_no_schema_of_ours(blank_database_url: str) -> None:
    assert ask(blank_database_url, "SELECT to_regnamespace('mailworkers')::text") is None


def test_a_server_that_is_given_is_used(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN, database_url)
    with postgresql() as server, Databases(server) as made:
        dsn = made.migrated()
        assert ask(dsn, COUNT_JOBS) == 0
        made.drop(dsn)
    assert server == database_url


async def test_an_application_may_insert_and_no_more(app_connection: asyncpg.Connection) -> None:
    await app_connection.execute(ADD_JOB)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_connection.execute("DELETE FROM mailworkers.email_jobs")
