"""One daemon process as the queue sees it: its leases, the jobs in its hands, the results that it has not written.

It goes about its work through the rooms that the daemon uses, and knows only what the daemon would know: an answer that
was lost leaves it in the dark about what was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mailworkers.daemon.lanes import LaneBook
from mailworkers.db.pool import Database, Fetch, Gateway
from mailworkers.errors import DatabaseError, DatabaseUnavailable
from mailworkers.queue.ack import AckWriter, Written
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import Leases
from mailworkers.queue.marks import Marks
from mailworkers.queue.presence import Presence
from mailworkers.queue.states import Job, Result

LEASE_SECONDS = 30.0
JOB_DEADLINE_SECONDS = 60.0
WRITTEN_SECONDS = 10.0  # far more than a group commit takes; a test that waits longer has failed


class Cable(Gateway):
    """A gateway on which answers are lost: what was asked for has happened, and the caller is told that it failed."""

    def __init__(self, gateway: Gateway, database: Database) -> None:
        super().__init__(None, database.queries, 0.0)
        self.answers_to_lose = 0
        self._gateway = gateway

    async def fetch(self, name: str, *args: Any) -> Any:
        rows = await self._gateway.fetch(name, *args)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise DatabaseUnavailable(f"the answer of {name} was lost")
        return rows

    @asynccontextmanager
    async def transaction(self, doing: str) -> AsyncIterator[Fetch]:
        async with self._gateway.transaction(doing) as fetch:
            yield fetch


@dataclass(slots=True)
class Held:
    """A job in the process's hands; `begun` once its first byte may have left."""

    job: Job
    begun: bool = False


class Process:
    """A daemon without a relay. To be made and closed on the loop."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.daemon_id = 0
        self.answered: list[int] = []
        self.held: list[Held] = []
        self.unwritten: list[Result] = []
        self.past: list[Result] = []
        self.presence: Presence | None = None
        self.claim_cable = Cable(database.claims, database)
        self.ack_cable = Cable(database.acks, database)
        self.mark_cable = Cable(database.leases, database)
        self.leases = Leases(Cable(database.leases, database), "model", LEASE_SECONDS, clock)
        self.claims = Claims(self.claim_cable, JOB_DEADLINE_SECONDS)
        self._marks = Marks(self.mark_cable)
        self._written: list[Written] = []
        self._acks = AckWriter(
            self.ack_cable,
            lambda: self.daemon_id, batch=1, delay=0.0, bound=100, on_written=self._written.append, on_trouble=_expected,
        )  # fmt: skip
        self._tasks = [asyncio.create_task(self._acks.run()), asyncio.create_task(self._marks.run())]

    def job_ids(self) -> list[int]:
        """All that it still answers for, as the heartbeat is told."""
        return [held.job.id for held in self.held] + [result.job.id for result in self.unwritten]

    async def begin_lease(self, presence: Presence | None) -> tuple[int, Sequence[int], int]:
        """A lease, the first or a new one after the session was lost, in the heartbeat's order; the daemon's number,
        its leases before, and how many jobs it took along."""
        await self.end_session()
        self.presence = presence
        self.daemon_id = (await self.leases.register()).daemon_id
        if presence is not None and await presence.prove(self.daemon_id):
            assert await self.leases.vouch(self.daemon_id)
        before, adopted = self.answered, 0
        if before:
            self.held = [held for held in self.held if held.begun]
            adopted = await self.leases.adopt(self.daemon_id, before, self.job_ids())
        self.answered = [self.daemon_id]
        return self.daemon_id, before, adopted

    async def end_session(self) -> None:
        """The session ends, as with a cut cable or a kill."""
        presence, self.presence = self.presence, None
        if presence is not None:
            await presence.close()

    async def plan(self, jobs: int) -> list[Wish]:
        """What the dispatcher would wish for."""
        book = LaneBook()
        book.renew(await self.claims.heads())
        return book.plan(lambda _priority: jobs)

    async def claim(self, wishes: Sequence[Wish], *, answer_lost: bool) -> list[Job] | None:
        """Jobs, which are then in its hands; None where it was not told."""
        self.claim_cable.answers_to_lose = int(answer_lost)
        try:
            jobs = await self.claims.claim(wishes, self.daemon_id)
        except DatabaseError:
            return None
        self.held += [Held(job) for job in jobs]
        return jobs

    async def mark(self, job: Job, *, answer_lost: bool) -> bool:
        """The mark before a mail that must go at most once."""
        self.mark_cable.answers_to_lose = int(answer_lost)
        return await self._marks.mark(job, WRITTEN_SECONDS)

    async def write(self, results: Sequence[Result], *, answers_lost: int = 0) -> int:
        """One group commit, repeated until it is answered; how many results the last try matched."""
        self.ack_cable.answers_to_lose = answers_lost
        self._written.clear()
        for result in results:
            self._acks.put(result)
        assert await self._acks.flush(WRITTEN_SECONDS)
        assert sum(len(written.results) for written in self._written) == len(results)
        assert all(written.repeated for written in self._written) or not answers_lost
        return sum(written.matched for written in self._written)

    async def close(self) -> None:
        """The process is gone, with all that it knew."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.end_session()


def _expected(_trouble: DatabaseError) -> None:
    """An answer was lost: the writer tries again."""
