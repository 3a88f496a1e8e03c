"""A folder of this process's own that vanishes with it, also after kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailworkers.db.embedded.home import Home
from mailworkers.demo import janitor

PREFIX = "mailworkers-demo-"
REMOVAL_SECONDS = 30.0  # the server has ended before, so it only takes deleting files


def folder() -> str:
    """Where such folders lie: TMPDIR, but for root, whose server runs as somebody else, who may not enter root's own."""
    return "/tmp" if os.geteuid() == 0 else tempfile.gettempdir()  # noqa: S108 -- made by mkdtemp, so private


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A new private folder for an embedded server; removed when the block or the process ends."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder())).resolve()
    lock = Home.at(path).keeper_lock
    watcher = subprocess.Popen(  # noqa: S603 -- this interpreter and a file of ours
        [sys.executable, "-I", "-S", janitor.__file__, str(path), str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # no terminal's Ctrl-C reaches it
    )
    try:
        yield path
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait(REMOVAL_SECONDS)
