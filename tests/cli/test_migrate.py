"""`mailworkers migrate`: what ran, what would run, and databases of another version."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from mailworkers.db.migrate import known_migrations
from tests.cli.conftest import Command, Sql
from tests.cli.test_bad_input import assert_one_line, replaced

NEWEST = known_migrations()[-1].version


@pytest.fixture
def on_blank(command: Command, blank_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("DATABASE_URL", blank_database_url)
    return command


def test_it_migrates_file_by_file_and_then_has_nothing_to_do(on_blank: Command) -> None:
    first = on_blank("migrate")
    second = on_blank("migrate")

    assert first.code == second.code == 0
    assert len(first.out.splitlines()) == len(known_migrations())
    assert "✓ 0001 live work" in first.out
    assert second.out == f"Nothing to do: the schema mailworkers is at version {NEWEST}.\n"


def test_a_dry_run_prints_sql_that_psql_could_run_and_changes_nothing(on_blank: Command) -> None:
    shown = on_blank("migrate", "--dry-run")

    assert shown.out.startswith("-- 0001_live_work.sql\n")
    assert "CREATE TABLE mailworkers.email_jobs" in shown.out
    assert on_blank("migrate", "--status", "--json").json["applied"] == []


def test_the_schemas_name_is_a_setting(on_blank: Command) -> None:
    assert "CREATE TABLE letters.email_jobs" in on_blank("migrate", "--dry-run", "--schema", "letters").out


def test_the_status_lists_each_file(on_database: Command) -> None:
    assert "applied" in on_database("migrate", "--status").out
    assert on_database("migrate", "--status", "--json").json == {
        "version": NEWEST,
        "applied": [migration.version for migration in known_migrations()],
        "pending": [],
        "unknown": [],
        "ran": [],
    }


def test_a_newer_schema_is_left_alone(on_database: Command, sql: Sql) -> None:
    sql("INSERT INTO mailworkers.schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')")

    for command in (("migrate",), ("migrate", "--dry-run"), ("status",), ("run",)):
        ended = on_database(*command)
        assert (ended.code, ended.out) == (78, "")
        assert ended.err.startswith("mailworkers: the schema is at version 9999, newer than this program knows. ")
    assert "newer than this program" in on_database("migrate", "--status").out


def test_an_older_schema_is_told_how_to_become_newer(on_blank: Command) -> None:
    for command in (("status",), ("run",), ("jobs", "list"), ("top",)):
        ended = on_blank(*command)
        assert ended.code == 78
        assert ended.err == (
            f"mailworkers: the schema mailworkers is at version 0, this program needs {NEWEST}. "
            "Run `mailworkers migrate` as the schema's owner (DATABASE_URL=…)\n"
        )


@pytest.fixture
def reader(database_url: str, sql: Sql) -> Iterator[str]:
    """The URL of a user of this test's server who may look, and change nothing."""
    role = f"reader_{urlsplit(database_url).path.strip('/')}"
    sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret' IN ROLE mailworkers_readonly")
    yield replaced(database_url, user=f"{role}:secret")
    sql(f"DROP ROLE {role}")


def test_where_nothing_is_missing_no_right_is_needed(command: Command, reader: str) -> None:
    assert command("migrate", "--database-url", reader).code == 0


def test_who_may_not_migrate_is_told_who_may(command: Command, blank_database_url: str, reader: str) -> None:
    blank = urlsplit(blank_database_url).path.strip("/")

    ended = command("migrate", "--database-url", replaced(reader, database=blank))

    assert_one_line(ended.code, ended.err, 77, "permission denied", "Run it as the owner of the schema")
