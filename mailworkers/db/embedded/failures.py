"""What goes wrong with the embedded server, told in one line with what to do."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailworkers.errors import EmbeddedServerError

OTHER_DATABASE = "give a database in MAILWORKERS_DATABASE_URL"
OTHER_HOME = "choose another folder with MAILWORKERS_DATA_DIR"
ROOM_BYTES = 200 * 1024 * 1024  # a new data directory takes 50 MB, its WAL grows to 100 MB before it is recycled
NO_ROOM_BYTES = 1024 * 1024  # below this a server dies without being able to write down why
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large", "Check free disk space")
_TELLING = ("FATAL: ", "PANIC: ", "error: ", "postgres: ")  # the first line with one of these names the cause


@contextmanager
def told_clearly(home: Path) -> Iterator[None]:
    """Turn what the operating system says about files and programs below `home` into EmbeddedServerError."""
    try:
        yield
    except OSError as problem:
        told = _first_of(problem) if isinstance(problem, shutil.Error) else problem.strerror or str(problem)
        if problem.errno in _FULL or any(text in told for text in _FULL_TEXTS):
            raise no_room(home) from problem
        where = problem.filename or home
        raise EmbeddedServerError(
            f"the embedded server cannot use {os.fsdecode(where)}: {told}",
            f"Check that folder's rights, {OTHER_HOME}, or {OTHER_DATABASE}",
        ) from problem
    except subprocess.TimeoutExpired as problem:
        program = Path(str(problem.cmd[0])).name
        raise EmbeddedServerError(
            f"{program} of the embedded server did not end within {problem.timeout:.0f} s",
            f"Check the disk below {home}, or {OTHER_DATABASE}",
        ) from problem


def _first_of(problem: shutil.Error) -> str:
    """Why the first file was not copied: `shutil.copytree` tells of all of them, and leaves out the numbers of the errors."""
    return str(problem.args[0][0][2])


def no_room(home: Path) -> EmbeddedServerError:
    """The error for a full disk."""
    return EmbeddedServerError(
        f"no room left on the disk for the embedded server in {home}",
        f"Free about {ROOM_BYTES // 1024 // 1024} MB there, {OTHER_HOME}, or {OTHER_DATABASE}",
    )


def refuse_full_disk(home: Path) -> None:
    """Raise before a new data directory is begun that cannot be finished."""
    if shutil.disk_usage(home).free < ROOM_BYTES:
        raise no_room(home)


def explained(what: str, output: str, home: Path, log: Path) -> EmbeddedServerError:
    """The error for a PostgreSQL program that failed.

    Args:
        what: the sentence's beginning, such as "the embedded server did not start".
        output: what the program wrote, or the newest part of the server's log.
        home: the server's home.
        log: the file to look into.
    """
    if any(text in output for text in _FULL_TEXTS) or shutil.disk_usage(home).free < NO_ROOM_BYTES:
        return no_room(home)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line.rpartition(word)[2].strip() for line in lines for word in _TELLING if word in line]
    reason = (told or lines[-1:] or ["it gave no reason"])[0]
    return EmbeddedServerError(f"{what}: {reason}", f"Look into {log}, or {OTHER_DATABASE}")
