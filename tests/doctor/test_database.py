"""The database, looked at through a connection of the daemon's kind."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from mailworkers.db.migrate import known_migrations
from mailworkers.doctor import database as checks
from mailworkers.doctor.database import check_database
from mailworkers.doctor.finding import Level
from mailworkers.settings import Settings
from tests.cli.test_bad_input import replaced
from tests.doctor.conftest import collect

ROOMY = {"most_connections": 100, "connections": 5, "standby": False, "autovacuum": True, "safe_on_power_loss": True,
         "synchronous_commit": "on", "version": 150000, "version_text": "15.4"}  # fmt: skip


async def test_a_healthy_database(settings: Settings, database_url: str) -> None:
    found = await collect(check_database(settings, database_url))

    expected = {
        "database version", "clock", "connections", "autovacuum", "durability", "pooler", "old transactions", "roles",
        "schema", "rights", "partitions",
    }  # fmt: skip
    assert set(found) == expected
    levels = {name: finding.level for name, finding in found.items() if name != "durability"}
    assert set(levels.values()) == {Level.OK}, found
    assert found["durability"].level in (Level.OK, Level.FAIL), "the tests' own server may run without fsync"


async def test_a_database_without_the_schema(settings: Settings, blank_database_url: str) -> None:
    found = await collect(check_database(settings, blank_database_url))

    assert found["schema"].level is Level.FAIL
    assert found["schema"].sentence == f"{len(known_migrations())} migration(s) are missing in schema mailworkers"
    assert found["schema"].advice == "Run `mailworkers migrate` as the schema's owner (DATABASE_URL=…)"
    assert "rights" not in found


async def test_nobody_there(settings: Settings) -> None:
    found = await collect(check_database(settings, "postgresql://me:secret@127.0.0.1:1/mail"))

    assert list(found) == ["database"]
    assert found["database"].level is Level.FAIL
    assert "secret" not in found["database"].sentence


async def test_a_user_without_the_workers_role(settings: Settings, database_url: str) -> None:
    role = f"powerless_{urlsplit(database_url).path.strip('/')}"
    owner = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA mailworkers TO {role}")
    await owner.execute(f"GRANT SELECT ON mailworkers.schema_migrations TO {role}")
    try:
        found = await collect(check_database(settings, replaced(database_url, user=f"{role}:secret")))
    finally:
        await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await owner.close(timeout=10)

    assert found["rights"].level is Level.FAIL
    assert "email_jobs" in found["rights"].sentence
    assert found["rights"].advice == f"Run GRANT mailworkers_worker TO {role}"


async def test_a_transaction_left_open_is_named(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LONG_TRANSACTION_SECONDS", 0.0)
    forgetful = await asyncpg.connect(database_url, timeout=10, server_settings={"application_name": "report"})
    async with forgetful.transaction(isolation="repeatable_read"):
        await forgetful.execute("SELECT 1")
        found = await collect(check_database(settings, database_url))
    await forgetful.close(timeout=10)

    assert found["old transactions"].level is Level.WARN
    assert "transaction report (pid " in found["old transactions"].sentence


@pytest.mark.parametrize(
    ("changed", "check", "level"),
    [
        ({}, "connections", Level.OK),
        ({"connections": 98}, "connections", Level.FAIL),
        ({"connections": 92}, "connections", Level.WARN),
        ({"standby": True}, "primary", Level.FAIL),
        ({"autovacuum": False}, "autovacuum", Level.FAIL),
        ({"safe_on_power_loss": False}, "durability", Level.FAIL),
        ({"synchronous_commit": "off"}, "durability", Level.WARN),
    ],
)
def test_what_a_servers_settings_mean(changed: dict[str, Any], check: str, level: Level) -> None:
    found = {finding.check: finding for finding in checks._server({**ROOMY, **changed})}

    assert found[check].level is level
    assert found[check].advice or level is Level.OK


def test_an_old_server_is_refused() -> None:
    assert checks._version({**ROOMY, "version": 130011}).level is Level.FAIL
    assert checks._version(ROOMY).level is Level.OK


def test_clocks_apart() -> None:
    assert checks._clock(database_time=100.0, asked=99.9, answered=100.2).level is Level.OK
    assert checks._clock(database_time=160.0, asked=99.9, answered=100.2).level is Level.WARN
    assert checks._clock(database_time=40.0, asked=99.9, answered=100.2).level is Level.WARN


def test_a_pooler_is_told_by_the_process_id_that_it_invents(settings: Settings) -> None:
    past_it = settings.model_copy(update={"direct_database_url": settings.database_url})

    assert checks._pooler(settings, told_pid=1, real_pid=1).level is Level.OK
    assert checks._pooler(settings, told_pid=1, real_pid=2).level is Level.WARN
    assert checks._pooler(past_it, told_pid=1, real_pid=2).level is Level.OK
