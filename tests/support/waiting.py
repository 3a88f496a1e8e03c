"""Waiting for a condition, bounded: tests never sleep for a guessed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.01
DEADLINE_SECONDS = 15.0  # a slow machine's worst; a passing test never waits so long


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Block until `condition()` holds.

    Raises:
        AssertionError: it did not within `seconds`; `what` names it.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """As `wait_until`, on the event loop; `condition` may be a coroutine function."""
    end = time.monotonic() + seconds
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(POLL_SECONDS)
