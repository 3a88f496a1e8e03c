"""The demo's folder goes with its process, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from mailworkers.demo.home import temporary_home
from tests.support.program import environment
from tests.support.waiting import wait_until

HOLDER = """
import pathlib, sys
from mailworkers.demo.home import temporary_home
with temporary_home() as home:
    (home / "data").mkdir()
    (home / "data" / "file").write_text("x")
    print(home, flush=True)
    sys.stdin.read()
"""


def test_it_is_gone_after_the_block() -> None:
    with temporary_home() as home:
        (home / "data").mkdir()

    assert not home.exists()


def test_it_is_gone_after_kill_9() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        home = Path(process.stdout.readline().strip())
        assert home.is_dir()
        process.send_signal(signal.SIGKILL)

    wait_until(lambda: not home.exists(), "the janitor removes the folder")
