"""The database: reached, new enough, migrated, permitted, and free to vacuum."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from mailworkers.db.faults import as_ours
from mailworkers.db.migrate import MIGRATE_HINT, OLDEST_SERVER, status
from mailworkers.db.pool import (
    ACK_CONNECTIONS,
    CLAIM_CONNECTIONS,
    FAULTS,
    LEASE_CONNECTIONS,
    connect_once,
)
from mailworkers.db.queries import Queries
from mailworkers.doctor.finding import Finding, fail, ok, skip, warn
from mailworkers.errors import DatabaseError, SchemaMismatch
from mailworkers.settings import Settings

DAEMON_CONNECTIONS = CLAIM_CONNECTIONS + ACK_CONNECTIONS + LEASE_CONNECTIONS + 1  # the last holds the session lock
MOST_SKEW_SECONDS = 5.0  # the daemon uses the database's clock; a larger skew still confuses logs and Date headers
LONG_TRANSACTION_SECONDS = 60.0


async def check_database(settings: Settings, dsn: str) -> AsyncIterator[Finding]:
    """Look at the database through one connection of the daemon's kind. Never raises for what a database does."""
    try:
        connection = await connect_once(settings, dsn, "doctor")
    except DatabaseError as problem:
        yield fail("database", problem.message, problem.hint)
        return
    try:
        async for finding in _look(settings, dsn, connection):
            yield finding
    except FAULTS as fault:
        ours = as_ours(fault, "looking at the database")
        yield fail("database", ours.message, ours.hint)
    finally:
        connection.terminate()


async def _look(settings: Settings, dsn: str, connection: Any) -> AsyncIterator[Finding]:
    queries = Queries(settings.db_schema)
    asked = time.time()
    server = await connection.fetchrow(queries["doctor/server"])
    answered = time.time()
    yield _version(server)
    yield _clock(server["now"], asked, answered)
    for finding in (*_server(server), _pooler(settings, connection.get_server_pid(), server["pid"])):
        yield finding
    yield _horizon(await connection.fetch(queries["doctor/horizon"], LONG_TRANSACTION_SECONDS))
    yield _roles(await connection.fetch(queries["doctor/roles"]))
    schema = await _schema(settings, dsn)
    yield schema
    if schema.level == "ok":
        yield _rights(await connection.fetch(queries["doctor/rights"]), server)
        yield _partitions(await connection.fetch(queries["doctor/partitions"]))


def _version(server: Any) -> Finding:
    if server["version"] < OLDEST_SERVER:
        return fail(
            "database version",
            f"PostgreSQL {server['version_text']} is too old",
            "Upgrade it to 14 or newer, or use the embedded server",
        )
    return ok("database version", f"PostgreSQL {server['version_text']} answers")


def _clock(database_time: float, asked: float, answered: float) -> Finding:
    skew = max(asked - database_time, database_time - answered, 0.0)
    if skew > MOST_SKEW_SECONDS:
        return warn(
            "clock",
            f"this host's clock and the database's are {skew:.0f} s apart",
            "Run an NTP client on both hosts: leases use the database's clock, logs and Date headers this host's",
        )
    return ok("clock", "this host and the database agree on the time")


def _server(server: Any) -> Iterator[Finding]:
    if server["standby"]:
        yield fail("primary", "this server is a read-only standby", "Let DATABASE_URL name the primary, or all hosts")
    free = server["most_connections"] - server["connections"] + 1  # this check's own connection ends with it
    if free < DAEMON_CONNECTIONS:
        yield fail(
            "connections",
            f"{free} of {server['most_connections']} connections are free, a daemon needs {DAEMON_CONNECTIONS}",
            "Raise max_connections, or lower the number of clients",
        )
    elif free < 2 * DAEMON_CONNECTIONS:
        yield warn(
            "connections",
            f"{free} connections are free: enough for one daemon ({DAEMON_CONNECTIONS}), not for two",
            "Raise max_connections before you start another daemon",
        )
    else:
        yield ok(
            "connections",
            f"{free} of {server['most_connections']} connections are free, a daemon needs {DAEMON_CONNECTIONS}",
        )
    if server["autovacuum"]:
        yield ok("autovacuum", "autovacuum is on")
    else:
        yield fail(
            "autovacuum",
            "autovacuum is off: claims become slower with every mail",
            "Set autovacuum = on and track_counts = on in postgresql.conf",
        )
    yield _durability(server)


def _durability(server: Any) -> Finding:
    if not server["safe_on_power_loss"]:
        return fail(
            "durability",
            "fsync or full_page_writes is off: a crash of the host can lose or damage mails",
            "Set both to on in postgresql.conf",
        )
    if server["synchronous_commit"] == "off":
        return warn(
            "durability",
            "synchronous_commit is off: a crash can forget that mails were sent, and they go out twice",
            "Set synchronous_commit = on for this database or user",
        )
    return ok("durability", "what is committed survives a crash")


def _pooler(settings: Settings, told_pid: int, real_pid: int) -> Finding:
    """A pooler invents the process id that it tells its clients (BackendKeyData); the server knows the real one."""
    if told_pid == real_pid:
        return ok("pooler", "the connection reaches the server directly")
    if settings.direct_database_url is not None:
        return ok("pooler", "a pooler stands between, and DIRECT_DATABASE_URL leads past it")
    return warn(
        "pooler",
        "a pooler such as pgbouncer stands between: a killed daemon is noticed after its lease, not at once",
        "Set MAILWORKERS_DIRECT_DATABASE_URL to the same database past the pooler",
    )


def _horizon(rows: list[Any]) -> Finding:
    if not rows:
        return ok("old transactions", "nothing keeps vacuum from cleaning up")
    named = "; ".join(
        f"{row['kind']} {row['who']}" + (f", open for {row['seconds']:.0f} s" if row["seconds"] else "") for row in rows
    )
    return warn(
        "old transactions",
        f"vacuum cannot clean up, so claims become slower: {named}",
        "End it: commit, SELECT pg_terminate_backend(pid), ROLLBACK PREPARED, or pg_drop_replication_slot",
    )


def _roles(rows: list[Any]) -> Finding:
    if not rows:
        return ok("roles", "mailworkers_app, mailworkers_worker and mailworkers_readonly exist")
    return warn(
        "roles",
        f"missing on this server: {', '.join(row['role'] for row in rows)}",
        "Run `mailworkers migrate` as a user that may create roles",
    )


async def _schema(settings: Settings, dsn: str) -> Finding:
    try:
        found = await status(dsn, settings.db_schema)
    except SchemaMismatch as problem:
        return fail("schema", problem.message, problem.hint)
    except DatabaseError as problem:
        return skip("schema", problem.message, problem.hint)
    if found.unknown:
        return fail(
            "schema",
            f"the schema is at version {max(found.unknown)}, newer than this program",
            "Install the newer mailworkers",
        )
    if found.pending:
        return fail(
            "schema",
            f"{len(found.pending)} migration(s) are missing in schema {settings.db_schema}",
            MIGRATE_HINT,
        )
    return ok("schema", f"schema {settings.db_schema} is at version {found.applied[-1].version}, as this program needs")


def _rights(rows: list[Any], server: Any) -> Finding:
    if rows:
        missing = ", ".join(row["what"] for row in rows)
        return fail(
            "rights",
            f"{server['username']} lacks {missing}",
            f"Run GRANT mailworkers_worker TO {server['username']}",
        )
    return ok("rights", f"{server['username']} may do all that a daemon does")


def _partitions(rows: list[Any]) -> Finding:
    if rows:
        return warn(
            "partitions",
            f"next month's partitions are missing: {', '.join(row['part'] for row in rows)}",
            "Start a daemon: its maintenance makes them",
        )
    return ok("partitions", "next month's partitions of the history are there")
