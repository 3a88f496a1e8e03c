"""flock with a bound: the kernel's own waits for ever, and is dropped when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailworkers.db.embedded.failures import OTHER_DATABASE
from mailworkers.errors import EmbeddedServerError

POLL_SECONDS = 0.01  # flock knows no time-out; starting a server takes ten times as long


def open_lock(path: Path) -> int:
    """Open a lock file without taking the lock. The descriptor does not outlive an exec."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """As `open_lock`; closing it drops the lock as well."""
    descriptor = open_lock(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock (`fcntl.LOCK_SH` or `LOCK_EX`) unless somebody stands in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, kind: int, seconds: float, waiting_for: str) -> None:
    """Take the lock within `seconds`.

    Raises:
        EmbeddedServerError: somebody held it all the while; `waiting_for` ends the sentence.
    """
    end = time.monotonic() + seconds
    while not try_lock(descriptor, kind):
        if time.monotonic() >= end:
            raise EmbeddedServerError(
                f"waited {seconds:.0f} s for {waiting_for}",
                f"See with `ps` which process of mailworkers hangs and end it, or {OTHER_DATABASE}",
            )
        time.sleep(POLL_SECONDS)
