"""The durable mark before a mail that must go at most once, gathered so that many marks share one statement."""

from __future__ import annotations

import asyncio

from mailworkers.db.pool import Gateway
from mailworkers.errors import DatabaseError
from mailworkers.queue.states import Job

GATHER_SECONDS = 0.002  # what the first of a batch waits for company: far below a round trip to any relay


class Marks:
    """Marks jobs as begun."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._waiting: list[tuple[Job, asyncio.Future[bool]]] = []
        self._something = asyncio.Event()

    async def mark(self, job: Job, timeout: float) -> bool:
        """Mark one job durably; only after True may its first byte of DATA leave.

        False where the lease has been taken away, or where the mark could not be written within `timeout` seconds: it
        may have been written all the same, and the job must then be snoozed under its lease, which clears it.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        self._something.set()
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            return False

    async def run(self) -> None:
        """Write marks until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER_SECONDS)
            batch, self._waiting = self._waiting, []
            self._something.clear()
            await self._write(batch)

    async def _write(self, batch: list[tuple[Job, asyncio.Future[bool]]]) -> None:
        marked: set[int] = set()
        try:
            rows = await self._gateway.fetch(
                "queue/mark", [job.id for job, _ in batch], [job.lease for job, _ in batch]
            )
            marked = {row["id"] for row in rows}
        except DatabaseError:
            pass  # unmarked is safe: the mail does not leave
        finally:
            for job, future in batch:
                if not future.done():
                    future.set_result(job.id in marked)
