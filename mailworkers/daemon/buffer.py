"""Claimed jobs on their short way from the dispatcher to a worker: one line for each priority, the best one first."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
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
    """Lines of jobs, and a set of workers that wait for one. No locks: everything happens on one event loop."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[Job]] = {}  # by priority; none of them is empty
        self._best: deque[Job] = deque()  # of those lines; empty where there is none
        self._count = 0
        self.size = 0  # characters of content in memory
        self._of: Counter[str] = Counter()  # jobs of each workspace
        self._of_group: Counter[str] = Counter()  # … and to each destination group
        self._waiting: dict[Taker, asyncio.Future[None]] = {}
        self._low = asyncio.Event()
        self._low_mark = -1
        self._missed = False

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        """The jobs that wait here, in the order in which they will be taken."""
        return chain.from_iterable(self._lines[priority] for priority in sorted(self._lines))

    def job_ids(self) -> Iterator[int]:
        """The jobs that wait here."""
        return (job.id for job in self)

    def upcoming(self, count: int) -> Iterator[Job]:
        """The next so many jobs, which stay here."""
        return islice(self._best if len(self._lines) == 1 else self, count)

    def ahead(self, priority: int) -> int:
        """How many jobs wait here that will be taken before another one of this priority."""
        return sum(len(line) for other, line in self._lines.items() if other <= priority)

    def of(self, workspace_id: str) -> int:
        """How many jobs of this workspace wait here."""
        return self._of[workspace_id]

    def of_group(self, group: str) -> int:
        """How many jobs to this destination group wait here."""
        return self._of_group[group]

    def workspaces(self) -> Iterable[str]:
        """Whose jobs wait here."""
        return self._of.keys()

    @property
    def oldest_claim(self) -> float | None:
        """Monotonic time of the claim of the job that is next; None where there is none."""
        return self._best[0].claimed if self._best else None

    @property
    def starved(self) -> bool:
        """Whether a worker could have begun a mail since the last jobs came, and found none."""
        return not self._count and (self._missed or any(taker.may_take() for taker in self._waiting))

    def put(self, jobs: Iterable[Job]) -> None:
        """Append jobs, which come in the order of their priorities, each to the line of its own, and wake as many workers."""
        jobs = list(jobs)
        self._missed = False
        if jobs:
            if _priority(jobs[0]) == _priority(jobs[-1]):
                self._line(_priority(jobs[0])).extend(jobs)
            else:
                for priority, some in groupby(jobs, _priority):
                    self._line(priority).extend(some)
            self._came(jobs)

    def put_back(self, job: Job) -> None:
        """Let a job that a worker could not begin be the next of its priority."""
        self._line(_priority(job)).appendleft(job)
        self._came([job])

    def take(self) -> Job | None:
        """The next job, if there is one."""
        if not self._best:
            self._missed = True
            return None
        job = self._best.popleft()
        if not self._best:
            self._find_best()
        self._gone(job)
        if self._count <= self._low_mark:
            self._is_low()
        return job

    def take_out(self, unwanted: Callable[[Job], bool]) -> list[Job]:
        """Remove and return the jobs for which `unwanted` is true."""
        out = [job for job in self if unwanted(job)]
        if out:
            gone = set(map(id, out))
            self._lines = {
                priority: deque(job for job in line if id(job) not in gone) for priority, line in self._lines.items()
            }
            self._find_best()
            for job in out:
                self._gone(job)
            self._is_low()
        return out

    def nudge(self) -> None:
        """Wake workers that may take a job, connected ones first, as many as there are jobs."""
        if not self._waiting or not self._count:
            return
        # One whose wait has just been cancelled, by its time-out say, is still here until its task runs: it would not hear.
        able = [taker for taker, future in self._waiting.items() if not future.done() and taker.may_take()]
        able.sort(key=lambda taker: not taker.warm)
        for taker in able[: self._count]:
            self._waiting.pop(taker).set_result(None)

    async def wait(self, taker: Taker, timeout: float) -> bool:
        """Wait up to `timeout` seconds for a job that this worker may take; tells whether one came."""
        if self._count and taker.may_take():
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

    def tell_when_low(self, mark: int, event: asyncio.Event) -> None:
        """Set the event, once, when at most `mark` jobs are left, or some were taken out."""
        self._low_mark, self._low = mark, event
        if self._count <= mark:
            self._is_low()

    def _is_low(self) -> None:
        self._low_mark = -1
        self._low.set()

    def _line(self, priority: int) -> deque[Job]:
        line = self._lines.get(priority)
        if line is None:
            line = self._lines[priority] = deque()
        return line

    def _find_best(self) -> None:
        self._lines = {priority: line for priority, line in self._lines.items() if line}
        self._best = self._lines[min(self._lines)] if self._lines else deque()

    def _came(self, jobs: Sequence[Job]) -> None:
        self._of.update([job.lane.workspace_id for job in jobs])
        self._of_group.update([job.lane.destination_group for job in jobs])
        self._count += len(jobs)
        self.size += sum([job.size for job in jobs])
        self._find_best()
        self.nudge()

    def _gone(self, job: Job) -> None:
        self._count -= 1
        self.size -= job.size
        _less(self._of, job.lane.workspace_id)
        _less(self._of_group, job.lane.destination_group)


def _less(counter: Counter[str], name: str) -> None:
    left = counter[name] - 1
    if left:
        counter[name] = left
    else:
        del counter[name]


def _priority(job: Job) -> int:
    priority: int = job.row["priority"]
    return priority
