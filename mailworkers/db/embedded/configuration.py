"""The embedded server's settings: those of a small machine that must not lose a committed row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PORT = 5432  # only a part of the socket's file name: the server listens on no network

# PostgreSQL's own default stands where nothing is said here. ALTER SYSTEM changes one for good: its file is read last.
DEFAULTS: Mapping[str, str] = {
    # Durability. These are PostgreSQL's defaults, said aloud: a committed insert is never lost.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Reached through a socket in a private folder only.
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    # A daemon holds 6 connections, a command 3; the rest is for applications. An unused slot costs a few kB.
    "max_connections": "100",
    # The live queue fits into it; history is read rarely. It is touched page by page, so an idle server holds less.
    "shared_buffers": "128MB",
    # A VPS of 1 to 2 GB; only plans are made with this.
    "effective_cache_size": "512MB",
    # SSDs everywhere: an index is worth its reads.
    "random_page_cost": "1.1",
    # Room for minutes of sending at full speed between checkpoints, yet few enough for a small disk.
    "min_wal_size": "64MB",
    "max_wal_size": "512MB",
    # A queue's table is rewritten all day: look every 10 s instead of every 60. When there is nothing it costs nothing.
    "autovacuum_naptime": "10s",
    "autovacuum_max_workers": "2",
    # No statement here is worth a second process on two cores.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # Not in /dev/shm: containers give it 64 MB, and systemd-logind clears a user's part of it at logout.
    "dynamic_shared_memory_type": "mmap",
    # Log what happens to the server, not what clients do: an error's detail shows the row, with its addresses and body,
    # and the client got that message anyway.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # One wheel has no time zone files of its own; GMT is built in.
    "timezone": "GMT",
    "log_timezone": "GMT",
}


def rendered(settings: Mapping[str, str], data: Path, sockets: Path) -> str:
    """The text of the configuration file, which lies beside the data directory and includes what initdb wrote there.

    So nothing needs to be written into the data directory, which belongs to another account where we are root.

    Args:
        settings: what differs from `DEFAULTS`.
        data: the data directory.
        sockets: the socket's folder.
    """
    # A list: an entry with blanks or commas stands in double quotes.
    folder = '"{}"'.format(str(sockets).replace('"', '""'))
    everything = {**DEFAULTS, **settings, "unix_socket_directories": folder}
    lines = [f"{name} = '{_quoted(value)}'" for name, value in everything.items()]
    head = (
        "# Written at every start of the embedded server: use ALTER SYSTEM instead.",
        f"include '{data.name}/postgresql.conf'",
    )
    return "\n".join((*head, *lines, ""))


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
