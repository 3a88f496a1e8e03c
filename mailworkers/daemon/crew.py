"""The workers of one daemon as a group: more of them, fewer, all to stop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence

import structlog

from mailworkers.daemon.worker import Bench, Worker
from mailworkers.limits import BucketKey
from mailworkers.queue.leases import WorkerRow

log = structlog.get_logger(__name__)


class Crew:
    """Runs workers in slots 1, 2, 3 …; a slot's name stays over restarts, and with it its rate limit.

    Args:
        tasks: where workers run; the caller's task group ends them with itself.
        bench: makes what they work at; the crew is an argument since workers ask it how many are connected.
        name: gives the daemon's name as it is now, such as "mx1#1".
    """

    def __init__(self, tasks: asyncio.TaskGroup, bench: Callable[[Crew], Bench], name: Callable[[], str]) -> None:
        self._tasks = tasks
        self._bench = bench(self)
        self._name = name
        self._workers: dict[int, Worker] = {}
        self._running: dict[int, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return sum(1 for worker in self._workers.values() if worker.state != "stopping")

    @property
    def connected(self) -> int:
        """Workers with a connection that takes mails."""
        return sum(1 for worker in self._workers.values() if worker.warm)

    @property
    def in_flight(self) -> int:
        """Mails on their way."""
        return sum(worker.in_flight for worker in self._workers.values())

    @property
    def windows(self) -> int:
        """Mails that could be on their way at once."""
        return sum(worker.window for worker in self._workers.values())

    def job_ids(self) -> Iterator[int]:
        """Jobs that the workers have taken and not settled."""
        return (job for worker in self._workers.values() for job in worker.job_ids())

    def tokens(self) -> float:
        """Mails that the workers' rate limits let them begin now, together."""
        return math.fsum(worker.tokens for worker in self._workers.values())

    def keys(self, most: int | None = None) -> list[BucketKey]:
        """The buckets of the workers; of so many at most, connected ones first."""
        workers = sorted(self._workers.values(), key=lambda worker: not worker.warm)[:most]
        return [key for worker in workers for key in worker.keys]

    def rows(self) -> Sequence[WorkerRow]:
        """What `status` shows of each."""
        return [worker.row() for worker in self._workers.values()]

    def resize(self, wanted: int) -> None:
        """Run so many workers: new ones take the lowest free slots, the highest slots stop first."""
        for slot in sorted(self._workers, reverse=True)[: max(0, len(self) - wanted)]:
            self._workers[slot].stop()
        slot = 1
        while len(self) < wanted:
            if slot not in self._workers:
                worker = Worker(slot, f"{self._name()}/{slot}", self._bench)
                self._workers[slot] = worker
                self._running[slot] = self._tasks.create_task(self._run(worker), name=f"worker {worker.name}")
            slot += 1

    def recall(self, why: str) -> None:
        """Let no mail leave that was not begun."""
        for worker in self._workers.values():
            worker.recall(why)

    def abort(self) -> None:
        """Drop all connections at once."""
        for worker in self._workers.values():
            worker.abort()

    async def drain(self, timeout: float) -> bool:
        """Let mails on their way end, for at most `timeout` seconds, then abort; tells whether all ended by themselves."""
        for worker in self._workers.values():
            worker.stop()
        tasks = list(self._running.values())
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=timeout)
        self.abort()
        if late:
            _, late_still = await asyncio.wait(late, timeout=1.0)
            for task in late_still:
                task.cancel()
            await asyncio.wait(late, timeout=1.0)
        return not late

    async def _run(self, worker: Worker) -> None:
        try:
            await worker.run()
        except Exception:  # its jobs are disowned and run again; scaling puts another worker in its place
            log.exception("a worker met a bug", worker=worker.name)
        finally:
            del self._workers[worker.slot]
            del self._running[worker.slot]
