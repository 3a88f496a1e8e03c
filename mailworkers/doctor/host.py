"""This machine: room on the disk for the embedded server, files that a process may open."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from mailworkers.doctor.finding import Finding, fail, ok, warn
from mailworkers.settings import Settings

GIB = 1024**3
LEAST_FREE_BYTES = GIB // 4  # a few WAL segments of 16 MiB and some hundred thousand mails
FEW_FREE_BYTES = 2 * GIB
FILES_BESIDE_WORKERS = 100  # database connections, the health page's clients, logs


def check_host(settings: Settings, home: Path | None) -> Iterator[Finding]:
    """Look at this host's limits.

    Args:
        settings: how many workers there may be.
        home: of the embedded server, where it is used.
    """
    if home is not None:
        yield disk(home, shutil.disk_usage(_existing(home)).free)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield files(settings.max_workers, soft)


def disk(home: Path, free: int) -> Finding:
    """Judge the room that is left for the embedded server."""
    room = f"{free / GIB:.1f} GiB are free for the embedded server in {home}"
    if free < LEAST_FREE_BYTES:
        return fail("disk", room, "Free some room, or choose another MAILWORKERS_DATA_DIR")
    if free < FEW_FREE_BYTES:
        return warn("disk", room, "Free some room before sending much: history is kept for months")
    return ok("disk", room)


def files(workers: int, soft_limit: int) -> Finding:
    """Judge how many files this process may open."""
    needed = workers + FILES_BESIDE_WORKERS
    if soft_limit not in (-1, resource.RLIM_INFINITY) and soft_limit < needed:
        return fail(
            "open files",
            f"a process may open {soft_limit} files here, {workers} workers need {needed}",
            "Raise it: ulimit -n, or LimitNOFILE= in the unit",
        )
    return ok("open files", f"enough files may be opened for {workers} workers")


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
