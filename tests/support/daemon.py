"""A daemon as a process of its own, as systemd would start it: settings from the environment, signals, an exit code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.embedded import REPOSITORY, wheel_folders
from tests.support.waiting import eventually

START_SECONDS = 40.0  # a slow machine's worst, with everything else on it
ASK_SECONDS = 5.0
KILL_SECONDS = 10.0
# No limits, so that a test takes as long as the work does.
FREE = {
    "WORKER_RATE_PER_MINUTE": 0,
    "WORKER_RATE_PER_HOUR": 0,
    "TARGET_PER_HOUR": 0,
    "SMTP_HOST": "127.0.0.1",
    "FROM_EMAIL": "sender@example.org",
    "LOG_FORMAT": "json",
}


class DaemonProcess:
    """`mailworkers run`.

    Args:
        folder: where it runs and where its output goes.
        variables: of its environment, over those that `environment` gives.
        before: a command that becomes the one which is given to it, such as `env` or `unshare`.
        output: a device or file for what it writes, instead of a new file in `folder`.
        settings: by the names of their environment variables without the prefix, over those of `FREE`.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        output: Path | None = None,
        **settings: object,
    ) -> None:
        self.page = free_port()
        self._output = output or folder / f"daemon-{self.page}.out"
        values = {**FREE, "HTTP_PORT": self.page, **settings}
        with self._output.open("ab") as written:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "mailworkers", "run"],
                env={**environment(**values), **(variables or {})},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        """All that it wrote; nothing where that went to a device."""
        return self._output.read_text(errors="replace") if self._output.is_file() else ""

    async def ready(self) -> None:
        """Wait until it takes work."""
        await eventually(self.is_ready, "the daemon is ready", START_SECONDS)

    async def is_ready(self) -> bool:
        """Whether `/readyz` says so. A daemon that has ended fails the test with what it said."""
        assert self.process.poll() is None, self.output
        return await self.status("/readyz") == 200

    async def status(self, path: str) -> int:
        """The HTTP status of one of its pages; 0 where nobody answers."""
        try:
            async with httpx.AsyncClient(timeout=ASK_SECONDS) as client:
                return (await client.get(f"http://127.0.0.1:{self.page}{path}")).status_code
        except httpx.HTTPError:
            return 0

    async def health(self) -> dict[str, Any]:
        """The answer of `/health`; empty where nobody answers."""
        try:
            async with httpx.AsyncClient(timeout=ASK_SECONDS) as client:
                answer: dict[str, Any] = (await client.get(f"http://127.0.0.1:{self.page}/health")).json()
                return answer
        except httpx.HTTPError:
            return {}

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        self.process.kill()
        self.process.wait(KILL_SECONDS)

    async def ended(self, seconds: float = START_SECONDS) -> int:
        """Its exit code, once it has ended by itself."""
        await eventually(lambda: self.process.poll() is not None, "the daemon ended", seconds)
        return int(self.process.returncode)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.kill()


def environment(**settings: object) -> dict[str, str]:
    """What a command sees: nothing of the developer's own but the path, and these settings."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *wheel_folders()]),
        **{f"MAILWORKERS_{name}": str(value) for name, value in settings.items()},
    }


def free_port() -> int:
    """A loopback port where nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
