"""What PostgreSQL or the network answered, as one of our errors: try again, or a person must act."""

from __future__ import annotations

import socket

import asyncpg

from mailworkers.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable

# SQLSTATEs that pass by themselves (PostgreSQL manual, appendix A): connection trouble, serialization and deadlock,
# a full disk or too many connections, a lock or statement time-out, a restart, a server that became read-only.
_PASSING_CLASSES = ("08", "40", "53", "57", "58")
READ_ONLY = "25006"
_PASSING_CODES = frozenset({"55P03", READ_ONLY})
# The server is no longer the one to write to: connections to it must not be used again.
EXPIRING_CODES = frozenset({READ_ONLY, "57P01", "57P02", "57P03"})

# Whoever knows what the user wants to do names the one role: see `cli.database.found`.
RIGHTS_HINT = (
    "Grant the user mailworkers_worker to run a daemon, mailworkers_app to insert, or mailworkers_readonly to look"
)

_ESCAPES = "an @, / or : in the password is written %40, %2F or %3A"
_HINTS = {
    "08P01": "If this is a pooler such as pgbouncer: for this command, name the server behind it in DATABASE_URL",
    "28P01": "Check the password in DATABASE_URL",
    "28000": "Check the user in DATABASE_URL, and pg_hba.conf on the server",
    "3D000": "Create the database, or check its name in DATABASE_URL",
    "42501": RIGHTS_HINT,
    "3F000": "Run `mailworkers migrate` first, or check MAILWORKERS_SCHEMA",
    "42P01": "Run `mailworkers migrate` first, or check MAILWORKERS_SCHEMA",
    "53100": "Free some room on the database server's disk",
    "53300": "Raise max_connections, or lower the number of clients",
    "25006": "This server is read-only: let DATABASE_URL name the primary, or all hosts",
}


def as_ours(fault: BaseException, doing: str) -> DatabaseError:
    """Turn what asyncpg or the socket raised into one of our errors.

    Args:
        fault: the exception; time-outs and OSError count as "cannot be reached just now".
        doing: what was tried, for the message, such as "the query queue/claim".
    """
    if isinstance(fault, asyncpg.PostgresError):
        code = fault.sqlstate or ""
        text = f"{doing} failed: {str(fault).splitlines()[0]} (SQLSTATE {code})"
        if code[:2] in _PASSING_CLASSES or code in _PASSING_CODES:
            return DatabaseUnavailable(text, _HINTS.get(code, ""))
        return DatabaseRefused(text, _HINTS.get(code, ""))
    if isinstance(fault, TimeoutError):
        return DatabaseUnavailable(f"{doing} got no answer from the database in time")
    if isinstance(fault, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        unknown_host = isinstance(fault, socket.gaierror)
        return DatabaseUnavailable(
            f"{doing} found no database: {str(fault).splitlines()[0] if str(fault) else type(fault).__name__}",
            f"Check the host in DATABASE_URL; {_ESCAPES}"
            if unknown_host
            else "Check that PostgreSQL runs and that DATABASE_URL names its host and port",
        )
    unreadable = isinstance(fault, ValueError)  # a malformed URL: what is said of it may hold a part of the password
    why, hint = ("DATABASE_URL cannot be read", f"Check it; {_ESCAPES}") if unreadable else (str(fault), "")
    return DatabaseRefused(f"{doing} failed: {why}", hint)


def is_passing(fault: BaseException) -> bool:
    """Whether waiting may help."""
    return isinstance(as_ours(fault, ""), DatabaseUnavailable)
