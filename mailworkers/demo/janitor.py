"""A process that removes a folder when its parent has ended, however that happened.

Run as `python -I -S janitor.py FOLDER LOCK` with a pipe as standard input whose other end only the parent has: the
kernel closes it even after kill -9. LOCK is a file that somebody holds locked while the folder is in use; it need not
exist. Standard library only, so that it starts at once and nothing can keep it from working.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import time

WAIT_SECONDS = 120.0  # for the lock and for a program that is still writing; then it gives up
LOOK_SECONDS = 0.05


def main(folder: str, lock: str) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends and os.path.lexists(folder):
        if _free(lock):
            shutil.rmtree(folder, ignore_errors=True)
        if os.path.lexists(folder):
            time.sleep(LOOK_SECONDS)


def _free(lock: str) -> bool:
    with contextlib.suppress(FileNotFoundError), open(lock, "rb") as file:  # noqa: PTH123 -- without pathlib it starts sooner
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:3])
