"""Leases: a daemon's right to hold jobs, renewed by heartbeat, ended by others when it is dead.

One row of email_daemons is one lease. Renewing it is one statement for the whole process, however many jobs it holds.
Jobs carry a claim's own number besides (`Job.lease`), which every ack must match. No wall clock ends a lease: see
`mailworkers/queue/sightings.py`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailworkers import __version__
from mailworkers.db.pool import Gateway
from mailworkers.errors import DatabaseError
from mailworkers.queue.portion import Portion
from mailworkers.queue.sightings import DaemonWatch, Other, OverdueWatch

# A job that saw so many daemons die may be what kills them. Far above what a bad night's restarts would bring.
MOST_RESCUES = 25
_LEASE_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
RESCUE_BATCH = 5000  # jobs of one daemon in one statement; more than it can have claimed at once by default


@dataclass(frozen=True, slots=True)
class Registration:
    """A lease as it was granted: the daemon's id is its number and only ever grows."""

    daemon_id: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What `status` shows of one worker. `connected_for` in seconds, None without a connection."""

    slot: int
    name: str
    state: str
    sent: int
    failed: int
    connected_for: float | None


@dataclass(frozen=True, slots=True)
class Rescued:
    """Jobs taken back: run again, or ended as unknown or abandoned."""

    again: int
    parked: int


class Leases:
    """The statements about leases, and what was seen of those of others.

    Args:
        gateway: one that nothing else uses up.
        instance: this daemon's name.
        lease_seconds: how long each renewal lasts.
        clock: local and monotonic, in seconds.
    """

    def __init__(
        self, gateway: Gateway, instance: str, lease_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gateway = gateway
        self._instance = instance
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._portion = Portion(RESCUE_BATCH)
        self._daemons = DaemonWatch()
        self._overdue = OverdueWatch()

    async def register(self) -> Registration:
        """Begin a lease. Raises as `Gateway.fetch`."""
        async with self._gateway.transaction("registering the daemon") as fetch:
            await fetch("leases/take_turn")
            (row,) = await fetch(
                "leases/register", self._instance, socket.gethostname(), os.getpid(), __version__, self._lease_seconds
            )
        return Registration(row["id"], row["ordinal"])

    async def vouch(self, daemon_id: int) -> bool:
        """Let others judge this daemon by its session lock; False where the lease has ended. Raises as `Gateway.fetch`."""
        return await self._gateway.fetchval("leases/vouch", daemon_id) is not None

    async def renew(self, daemon_id: int, workers: Sequence[WorkerRow]) -> bool:
        """Renew and tell about the workers; False where the lease has ended. Raises as `Gateway.fetch`."""
        renewed = await self._gateway.fetchval(
            "leases/renew",
            daemon_id,
            self._lease_seconds,
            [worker.slot for worker in workers],
            [worker.name for worker in workers],
            [worker.state for worker in workers],
            [worker.sent for worker in workers],
            [worker.failed for worker in workers],
            [worker.connected_for for worker in workers],
        )
        return renewed is not None

    async def adopt(self, daemon_id: int, before: Sequence[int], job_ids: Sequence[int]) -> int:
        """Take over, after a lost session, what this process still answers for, and end its leases from before, so that the
        rest of its jobs runs again at once; how many were still there. Raises as `Gateway.fetch`.

        Args:
            daemon_id: the new lease.
            before: those under which its jobs may still stand.
            job_ids: mails in flight and results that are not written.
        """
        adopted: int = await self._gateway.fetchval("leases/adopt", daemon_id, before, job_ids)
        return adopted

    async def disown(self, daemon_id: int, job_ids: Sequence[int]) -> int:
        """Release jobs of a lease, all but `job_ids`; how many. Where there are very many, some are left for the next time.
        Raises as `Gateway.fetch`."""
        row = await self._take_back("leases/disown", daemon_id, job_ids, self._portion.size)
        return int(row["again"])

    async def end_dead(self, own: Sequence[int]) -> list[int]:
        """Look at the leases of other daemons, and end those that were seen not to be renewed for as long as they last, or
        whose session lock was found free twice, `SUSPICION_SECONDS` apart; their ids. Raises as `Gateway.fetch`.

        Args:
            own: the leases of the daemon that asks: its present one, and those it lost and has not taken over yet.
        """
        asked = self._clock()
        rows = await self._gateway.fetch("leases/others", own)
        others = [Other(row["id"], row["renewed_at"], row["lease_seconds"], row["lock_free"]) for row in rows]
        dead = self._daemons.judge(others, asked, self._clock())
        if not dead:
            return []
        ended = await self._gateway.fetch(
            "leases/end_dead",
            [one.other.daemon_id for one in dead],
            [one.other.renewed_at for one in dead],
            [one.why for one in dead],
        )
        return [row["id"] for row in ended]

    async def rescue(self, sender_domain: str = "") -> Rescued:
        """Take back the jobs of ended and of unknown leases. Raises as `Gateway.fetch`.

        Args:
            sender_domain: as for `expire`.
        """
        row = await self._take_back("leases/rescue", MOST_RESCUES, self._portion.size, sender_domain)
        return Rescued(row["again"], row["parked"])

    async def expire(self, retry_seconds: float, patience: float, sender_domain: str = "") -> Rescued:
        """Give up attempts that are seen past their deadline for a while. Raises as `Gateway.fetch`.

        Args:
            retry_seconds: until the next try of such a job.
            patience: seconds for which a job must have been found so. As long as an attempt may take, it leaves every living
                attempt alone, wherever the wall clock was set to.
            sender_domain: of rows that name no sender, in ASCII, for the Message-ID in the record; empty where it is not known.
        """
        rows = await self._gateway.fetch("leases/overdue", self._portion.size)
        overdue = self._overdue.judge([(row["id"], row["lease"]) for row in rows], self._clock(), patience)
        overdue = overdue[: self._portion.size]
        if not overdue:
            return Rescued(0, 0)
        row = await self._take_back(
            "leases/expire",
            retry_seconds,
            [job for job, _ in overdue],
            [lease for _, lease in overdue],
            sender_domain,
        )
        return Rescued(row["again"], row["parked"])

    async def _take_back(self, name: str, *args: object) -> Mapping[str, Any]:
        """Run a statement that takes back no more jobs than the portion says, which shrinks and grows with its success."""
        try:
            row: Mapping[str, Any] | None = await self._gateway.fetchrow(name, *args)
        except DatabaseError:
            self._portion.failed()
            raise
        self._portion.worked()
        assert row is not None
        return row

    async def end_own(self, daemon_id: int, why: str) -> None:
        """End this daemon's lease, when it stops. Raises as `Gateway.fetch`."""
        await self._gateway.execute("leases/end_own", daemon_id, why)


def lease_time() -> float:
    """Seconds that only grow and that go on while the machine is suspended, where the system has such a clock: leases end
    elsewhere meanwhile, and whoever wakes must know."""
    return time.clock_gettime(_LEASE_CLOCK) if _LEASE_CLOCK is not None else time.monotonic()


class LeaseClock:
    """How long this process may trust its lease, by `lease_time`: counted from before the statement that
    renewed it was sent, so that it never believes longer than the database does."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._until = 0.0

    def renewed(self, asked_at: float) -> None:
        """The statement sent at `asked_at`, by `lease_time`, renewed the lease."""
        self._until = max(self._until, asked_at + self._lease_seconds)

    def end(self) -> None:
        """The lease is known to have ended."""
        self._until = 0.0

    @property
    def holds(self) -> bool:
        """Whether new mails may be begun."""
        return lease_time() < self._until
