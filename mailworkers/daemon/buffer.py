"""Claimed jobs on their short way from the dispatcher to a worker."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from mailworkers.queue.states import Job


class Taker(Protocol):
    """A worker as the buffer sees it."""

    @property
    def warm(self) -> bool:
        """Whether it has a connection: such a one is woken first."""

    def may_take(self) -> bool:
        """Whether its rate limit lets it begin a mail now."""


class Buffer:
    """A line of jobs, and a set of workers that wait for one. No locks: everything happens on one event loop."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self.size = 0  # characters of content in memory
        self._of: Counter[str] = Counter()  # jobs of each workspace
        self._waiting: dict[Taker, asyncio.Future[None]] = {}
        self._low = asyncio.Event()
        self._low_mark = 0
        self._missed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def job_ids(self) -> Iterator[int]:
        """The jobs that wait here."""
        return (job.id for job in self._jobs)

    def upcoming(self, count: int) -> Iterator[Job]:
        """The next so many jobs, which stay here."""
        return islice(self._jobs, count)

    def of(self, workspace_id: str) -> int:
        """How many jobs of this workspace wait here."""
        return self._of[workspace_id]

    def workspaces(self) -> Iterable[str]:
        """Whose jobs wait here."""
        return self._of.keys()

    @property
    def oldest_claim(self) -> float | None:
        """Monotonic time of the claim of the job that is next; None where there is none."""
        return self._jobs[0].claimed if self._jobs else None

    @property
    def starved(self) -> bool:
        """Whether a worker could have begun a mail since the last jobs came, and found none."""
        return not self._jobs and (self._missed or any(taker.may_take() for taker in self._waiting))

    def put(self, jobs: Iterable[Job]) -> None:
        """Append jobs and wake as many workers."""
        jobs = list(jobs)
        self._missed = False
        self._jobs.extend(jobs)
        self._of.update(job.lane.workspace_id for job in jobs)
        self.size += sum(job.size for job in jobs)
        self.nudge()

    def put_back(self, job: Job) -> None:
        """Let a job that a worker could not begin be the next."""
        self._jobs.appendleft(job)
        self._of[job.lane.workspace_id] += 1
        self.size += job.size
        self.nudge()

    def take(self) -> Job | None:
        """The next job, if there is one."""
        if not self._jobs:
            self._missed = True
            return None
        job = self._jobs.popleft()
        self._gone(job)
        if len(self._jobs) <= self._low_mark:
            self._low.set()
        return job

    def take_out(self, unwanted: Callable[[Job], bool]) -> list[Job]:
        """Remove and return the jobs for which `unwanted` is true."""
        out = [job for job in self._jobs if unwanted(job)]
        if out:
            self._jobs = deque(job for job in self._jobs if not unwanted(job))
            for job in out:
                self._gone(job)
            self._low.set()
        return out

    def nudge(self) -> None:
        """Wake workers that may take a job, connected ones first, as many as there are jobs."""
        if not self._waiting or not self._jobs:
            return
        # One whose wait has just been cancelled, by its time-out say, is still here until its task runs: it would not hear.
        able = [taker for taker, future in self._waiting.items() if not future.done() and taker.may_take()]
        able.sort(key=lambda taker: not taker.warm)
        for taker in able[: len(self._jobs)]:
            self._waiting.pop(taker).set_result(None)

    async def wait(self, taker: Taker, timeout: float) -> bool:
        """Wait up to `timeout` seconds for a job that this worker may take; tells whether one came."""
        if self._jobs and taker.may_take():
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[taker] = future
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            if future.done():  # this worker was woken and leaves: the next one must hear of the job
                self.nudge()
            raise
        finally:
            if self._waiting.get(taker) is future:
                del self._waiting[taker]
        return True

    def _gone(self, job: Job) -> None:
        workspace = job.lane.workspace_id
        self.size -= job.size
        self._of[workspace] -= 1
        if not self._of[workspace]:
            del self._of[workspace]

    async def wait_until_low(self, mark: int, timeout: float) -> None:
        """Return when at most `mark` jobs are left, or after `timeout` seconds."""
        self._low_mark = mark
        if len(self._jobs) <= mark:
            return
        self._low.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._low.wait()
        except TimeoutError:
            return
