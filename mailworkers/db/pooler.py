"""Through a pooler in transaction mode, such as pgbouncer: a server session is ours for one transaction only.

So nothing may be left in a session or expected there. Each use of a connection is one transaction that begins with its own
settings (SET LOCAL), and statements are prepared without a name. The pooler needs no configuration of its own for that;
it costs three round trips more for each statement.
"""

from __future__ import annotations

from mailworkers.db import hosts

# Start-up parameters that pgbouncer knows (its manual, ignore_startup_parameters); it refuses a connection with any other.
_PASSED_ON = ("application_name", "timezone")
# About the connection to the server, which is the pooler's business.
_OF_THE_LINE = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")

# For asyncpg: statements without a name, since a named one would stay behind in a session that is then somebody else's.
NAMELESS = {"statement_cache_size": 0}


async def leads_through_a_pooler(dsn: str, timeout: float) -> bool:
    """Whether this way to the database lends sessions: what the connection was given as its backend's pid then differs from
    what the server says. A pooler in session mode looks the same, and is treated the same, which works with it too.

    Args:
        dsn: the database.
        timeout: seconds, for connecting and for the question each.

    Raises:
        as `asyncpg.connect`.
    """
    connection = await hosts.connect(dsn, timeout=timeout, command_timeout=timeout, **NAMELESS)
    try:
        async with connection.transaction():
            return bool(await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid())
    finally:
        await connection.close(timeout=timeout)


def passed_on(server_settings: dict[str, str]) -> dict[str, str]:
    """Those of the session settings that may be given when connecting."""
    return {name: server_settings[name] for name in _PASSED_ON}


def for_one_transaction(server_settings: dict[str, str]) -> str:
    """The statements that set the others, until the transaction ends."""
    return ";".join(
        f"SET LOCAL {name} = '{value}'"
        for name, value in server_settings.items()
        if name not in (*_PASSED_ON, *_OF_THE_LINE)
    )
