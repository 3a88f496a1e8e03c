"""A thread for work that would keep the event loop from everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# The largest mail takes half a second. What takes so long has met a bug, and may not keep the others.
LONGEST_SECONDS = 60.0

Made = TypeVar("Made")


class Aside:
    """One thread, and a line before it: two at once would take twice the memory and be no faster, since they share one
    interpreter lock."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._thread = _a_thread()

    async def run(self, work: Callable[[], Made]) -> Made:
        """What `work` returns or raises.

        Raises:
            TimeoutError: not within `LONGEST_SECONDS` of its turn. It goes on in its thread, and nobody waits behind it.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    return await asyncio.get_running_loop().run_in_executor(self._thread, work)
            except TimeoutError:
                self._thread.shutdown(wait=False)
                self._thread = _a_thread()
                raise


def _a_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")
