"""What the figures were measured on: they mean little without it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailworkers import __version__
from mailworkers.db.queries import Queries

# What decides how fast a commit is, how much is written, and how often vacuum comes.
SETTINGS = (
    "autovacuum_naptime", "checkpoint_timeout", "commit_delay", "fsync", "full_page_writes", "max_wal_size",
    "server_version", "shared_buffers", "synchronous_commit", "wal_compression", "wal_level", "wal_sync_method",
)  # fmt: skip


def this_machine() -> dict[str, str]:
    """Processor, memory, system, versions, and how busy it was."""
    try:
        uvloop = importlib.metadata.version("uvloop")
    except importlib.metadata.PackageNotFoundError:
        uvloop = "not installed"
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, uvloop {uvloop}",
        "mailworkers": __version__,
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


async def this_server(connection: Any) -> Mapping[str, str]:
    """PostgreSQL's version and the settings that matter here."""
    rows = await connection.fetch(Queries()["bench/server"], list(SETTINGS))
    return {row["name"]: row["value"] for row in rows}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory() -> str:
    octets = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{octets / 1024**3:.1f} GiB"
