"""What happens where memory runs out: a daemon goes on whole, or it ends and is started again. It never goes on by half.

A loop or a worker that meets it ends by its own exception, which is seen. A callback of the event loop is only logged, and
leaves something undone for ever, such as a timer that is not set again: so the daemon ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def watched(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` where a callback of the running loop finds no memory. What handled exceptions before still hears of all."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(running: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), MemoryError):
            end()  # first: to tell of it needs memory
        if before is not None:
            before(running, context)
        else:
            running.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)
