"""The `mailworkers` command as a process of its own, as a person or a script runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "MAILWORKERS_POSTGRES_BIN")
END_SECONDS = 60.0


def environment(**variables: str) -> dict[str, str]:
    """What a fresh shell has, and `variables`."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(PROJECT), "NO_COLOR": "1", **variables}


def mailworkers(
    *arguments: str, stdin: str = "", folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. `variables` are environment variables; `folder` is where it runs."""
    return subprocess.run(
        [sys.executable, "-m", "mailworkers", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=END_SECONDS,
        env=environment(**variables),
        cwd=folder or "/",
        check=False,
    )


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on running beside the test; killed at the end if it still does."""
    with subprocess.Popen(
        [sys.executable, "-m", "mailworkers", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1", **variables),
        cwd="/",
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=END_SECONDS)
