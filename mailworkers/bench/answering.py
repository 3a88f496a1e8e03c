"""How the bench's processes speak with the one that started them: commands by line on standard input, JSON lines back.

Standard input's end is the order to stop, so that no process outlives a bench that was killed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Self

Answer = Callable[[], Awaitable[Mapping[str, object]]]


def announce(what: Mapping[str, object]) -> None:
    """Write one JSON line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Parent:
    """The process at the other end of standard input."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines

    @classmethod
    async def meet(cls) -> Self:
        """Listen to it."""
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        return cls(lines)

    async def order(self) -> dict[str, Any]:
        """Its first line: what to do, as JSON."""
        order: dict[str, Any] = json.loads(await self._lines.readline())
        return order

    async def answer(self, answers: Mapping[str, Answer]) -> None:
        """Answer each command with the line that its function gives; return when nobody asks any more."""
        while line := await self._lines.readline():
            announce(await answers[line.decode().strip()]())


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a process's work on the fastest loop that is installed."""
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415 -- it is not installed everywhere

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)
