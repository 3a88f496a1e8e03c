"""Forward-only migrations from `sql/migrations`, one transaction each, under an advisory lock."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from mailworkers.db import hosts
from mailworkers.db.faults import as_ours
from mailworkers.db.pool import CONNECT_SECONDS, FAULTS
from mailworkers.db.pooler import NAMELESS
from mailworkers.db.queries import DEFAULT_SCHEMA, in_schema, sql_folder
from mailworkers.errors import DatabaseRefused, SchemaMismatch

LOCK_WAIT_SECONDS = 60.0  # another migration under way; more than any of ours takes on a large table
STATEMENT_SECONDS = 3600.0  # an index on a large table may take long: only hanging for ever is wrong
OLDEST_SERVER = 140000  # SQL-standard function bodies came with PostgreSQL 14
APPLICATION = "mailworkers migrate"
# Poolers in transaction mode refuse such parameters, which is right: the lock that keeps two migrations apart needs a session.
_MIGRATING = {
    "application_name": APPLICATION,
    "lock_timeout": str(int(LOCK_WAIT_SECONDS * 1000)),
    "client_min_messages": "warning",
}
MIGRATE_HINT = "Run `mailworkers migrate` as the schema's owner (DATABASE_URL=…)"
OWNER_HINT = "Run it as the owner of the schema, or as a role that may create it and, the first time, roles"
_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
# A line of its own in a migration after which daemons that do not know it must not go on. Without it the migration has to
# leave them all that they use: columns are added and never lost, and what is added has a default.
ENDS_OLDER = "-- Daemons of earlier versions must end."

_BOOTSTRAP = f"""
CREATE SCHEMA IF NOT EXISTS {DEFAULT_SCHEMA};
CREATE TABLE IF NOT EXISTS {DEFAULT_SCHEMA}.schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` tells a file that was changed after it ran, `ends_older` whether older daemons must not go on."""

    version: int
    name: str
    sql: str
    checksum: str
    ends_older: bool


@dataclass(frozen=True, slots=True)
class Status:
    """What ran, what is missing here, and what the database has that this version does not know."""

    applied: tuple[Migration, ...]
    pending: tuple[Migration, ...]
    unknown: tuple[int, ...]


def known_migrations(schema: str = DEFAULT_SCHEMA) -> tuple[Migration, ...]:
    """All migrations that this version ships, in order."""
    found = []
    for path in sorted((sql_folder() / "migrations").glob("*.sql")):
        named = _FILE_NAME.fullmatch(path.name)
        if named is None:
            raise ValueError(f"{path.name} must be named like 0001_what_it_does.sql")
        text = path.read_text(encoding="utf-8")
        checksum = hashlib.sha256(text.encode()).hexdigest()[:16]
        ends_older = ENDS_OLDER in text.splitlines()
        found.append(Migration(int(named[1]), named[2], in_schema(text, schema), checksum, ends_older))
    return tuple(found)


async def migrate(
    dsn: str, schema: str = DEFAULT_SCHEMA, on_applied: Callable[[Migration], None] | None = None
) -> Status:
    """Bring the schema up to this version. Safe to run from several places at once.

    Args:
        dsn: the database; its user must own the schema or be able to create it.
        schema: where everything lives.
        on_applied: called after each migration that ran.

    Returns:
        the status before anything ran, so that `pending` tells what has been done.

    Raises:
        SchemaMismatch: the database is newer than this version, or a file was changed after it ran.
        DatabaseRefused, DatabaseUnavailable: the database said no, or nothing.
    """
    connection = await _connect(dsn, _MIGRATING)
    try:
        await _check_server(connection)
        await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 1))", f"{schema}.migrate")
        if not await _is_bootstrapped(connection, schema):  # who may change nothing may still find nothing to do
            await connection.execute(in_schema(_BOOTSTRAP, schema))
        before = await _compare(connection, schema)
        refuse_newer(before)
        for migration in before.pending:
            await _apply(connection, schema, migration)
            if on_applied is not None:
                on_applied(migration)
    except asyncpg.InsufficientPrivilegeError as fault:
        raise DatabaseRefused(as_ours(fault, "migrating").message, OWNER_HINT) from fault
    except FAULTS as fault:
        raise as_ours(fault, "migrating") from fault
    else:
        return before
    finally:
        await _close(connection)


async def status(dsn: str, schema: str = DEFAULT_SCHEMA) -> Status:
    """Compare the database with this version and change nothing. Raises as `migrate`, but for SchemaMismatch."""
    connection = await _connect(dsn, {"application_name": APPLICATION})
    try:
        async with connection.transaction(readonly=True):  # a pooler lends one session for all of it
            return await _compare(connection, schema)
    except FAULTS as fault:
        raise as_ours(fault, "reading the schema's version") from fault
    finally:
        await _close(connection)


async def require_current(dsn: str, schema: str = DEFAULT_SCHEMA) -> int:
    """The schema's version, if it is exactly the one that this version of the program knows.

    Raises:
        SchemaMismatch: it is older or newer.
    """
    found = await status(dsn, schema)
    refuse_newer(found)
    if found.pending:
        at = found.applied[-1].version if found.applied else 0
        raise SchemaMismatch(
            f"the schema {schema} is at version {at}, this program needs {found.pending[-1].version}",
            MIGRATE_HINT,
        )
    return found.applied[-1].version


def refuse_newer(found: Status) -> None:
    """Raise SchemaMismatch where the database has migrations that this version does not know."""
    if found.unknown:
        raise SchemaMismatch(
            f"the schema is at version {max(found.unknown)}, newer than this program knows",
            "Install the newer mailworkers on this host",
        )


async def _is_bootstrapped(connection: Any, schema: str) -> bool:
    return bool(await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.schema_migrations"))


async def _compare(connection: Any, schema: str) -> Status:
    known = known_migrations(schema)
    exists = await _is_bootstrapped(connection, schema)
    rows = await connection.fetch(f"SELECT version, checksum FROM {schema}.schema_migrations") if exists else []  # noqa: S608 -- the schema's name is checked by settings
    ran = {row["version"]: row["checksum"] for row in rows}
    for migration in known:
        if ran.get(migration.version, migration.checksum) != migration.checksum:
            raise SchemaMismatch(
                f"migration {migration.version:04} is not the file that ran on this database",
                "Install the version of mailworkers that migrated it, or a released newer one",
            )
    versions = {migration.version for migration in known}
    return Status(
        applied=tuple(m for m in known if m.version in ran),
        pending=tuple(m for m in known if m.version not in ran),
        unknown=tuple(sorted(set(ran) - versions)),
    )


async def _apply(connection: Any, schema: str, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            f"INSERT INTO {schema}.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",  # noqa: S608
            migration.version,
            migration.name,
            migration.checksum,
        )
        if migration.ends_older:  # the first few have no such column yet, and no such daemons
            await connection.execute(
                f"UPDATE {schema}.schema_migrations SET ends_older = true WHERE version = $1",  # noqa: S608
                migration.version,
            )


async def _check_server(connection: Any) -> None:
    if int(await connection.fetchval("SHOW server_version_num")) < OLDEST_SERVER:
        raise DatabaseRefused("this PostgreSQL is older than 14", "Upgrade it, or use the embedded server")
    if await connection.fetchval("SHOW server_encoding") != "UTF8":
        raise DatabaseRefused(
            "this database is not encoded in UTF8", "Create it with ENCODING 'UTF8' TEMPLATE template0"
        )


async def _connect(dsn: str, server_settings: dict[str, str]) -> Any:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await hosts.connect(
                dsn,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                server_settings=server_settings,
                **NAMELESS,
            )
    except (*FAULTS, ValueError) as fault:
        raise as_ours(fault, f"connecting to {hosts.shown(dsn)}") from fault


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=5)
    except FAULTS:
        connection.terminate()
