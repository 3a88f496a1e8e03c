"""A process of the bench, as its parent sees it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mailworkers.errors import MailworkersError

START_SECONDS = 60.0  # imports on a busy machine, and a daemon's connections
ANSWER_SECONDS = 30.0  # a busy event loop's worst
STOP_SECONDS = 45.0  # a daemon that drains; then it is killed
LINE_BYTES = 1024 * 1024
_PROJECT = Path(__file__).resolve().parents[2]  # so that `-m` finds the package in a clone, whatever the folder


class BenchFailed(MailworkersError):
    """A measurement could not be carried out, or its account does not agree."""


class Child:
    """Ask it with `ask`; everything it writes is one JSON object a line."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    async def tell(self, line: str) -> None:
        """Write one line to it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise BenchFailed(f"the bench's {self._name} ended unexpectedly") from None

    async def hear(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Its next line.

        Raises:
            BenchFailed: it ended, said nothing for `seconds`, or says what keeps it from working.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise BenchFailed(f"the bench's {self._name} did not answer within {seconds:.0f} s") from None
        if not line:
            raise BenchFailed(f"the bench's {self._name} ended unexpectedly", "Its last words are above")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise BenchFailed(f"the bench's {self._name} says: {said['error']}")
        return said

    async def ask(self, command: str, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Its answer to a command. Raises as `hear`."""
        await self.tell(command)
        return await self.hear(seconds)

    async def stop(self) -> None:
        """Let it end by itself, then end it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child(name: str, module: str, order: Mapping[str, object] | None = None) -> AsyncIterator[Child]:
    """Run a module of this room as long as the block does.

    Args:
        name: for messages, such as "sink".
        module: of this package, such as "sink".
        order: written to it first; secrets go this way, since others on this machine can read a command line.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"{__package__}.{module}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        env=_environment(),
        start_new_session=True,  # Ctrl-C is the parent's to hear: it stops this one in order
    )  # fmt: skip
    made = Child(name, process)
    try:
        if order is not None:
            await made.tell(json.dumps(order))
        yield made
    finally:
        await asyncio.shield(asyncio.create_task(made.stop()))


def _environment() -> dict[str, str]:
    paths = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
