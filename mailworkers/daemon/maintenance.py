"""What has to be done now and then: rescue, depth, partitions, retention, and a look for trouble from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mailworkers.daemon.heartbeat import Heartbeat
from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.trouble import Trouble
from mailworkers.daemon.vitals import Vitals
from mailworkers.db.pool import Database
from mailworkers.queue.claim import Claims
from mailworkers.queue.leases import Leases, Rescued

SWEEP_SECONDS = 0.8  # dead within 0.8 s, sure 2 s later, rescued 0.8 s after that: below the 5 s that are promised
DEADLINES_SECONDS = 10.0  # against deadlines of minutes
DEPTH_SECONDS = 5.0
TROUBLE_SECONDS = 30.0
HOUSEKEEPING_SECONDS = 3600.0
MONTHS_AHEAD = 2
METRICS_DAYS = 35
LEARNED_DAYS = 60.0  # domains whose group was learned and that nobody has written to since
PURGE_BATCH = 10_000
# A transaction open for so long keeps vacuum from cleaning the queue's index.
HORIZON_SECONDS = 300.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """What maintenance looks after, and where it shows. `job_deadline` is in seconds; the last three give settings that SIGHUP
    may change."""

    database: Database
    heartbeat: Heartbeat
    leases: Leases
    claims: Claims
    book: LaneBook
    vitals: Vitals
    metrics: Metrics
    trouble: Trouble
    job_deadline: float
    retention_months: Callable[[], int]
    retry_schedule: Callable[[], Sequence[float]]
    sender_domain: Callable[[], str]


class Maintenance:
    """Loops beside the flow of mail. Every daemon runs them: their statements agree with each other by locks and fences."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def run(self) -> None:
        """Run all loops until cancelled."""
        async with asyncio.TaskGroup() as loops:
            for where, seconds, step, grave in (
                ("rescue", SWEEP_SECONDS, self.sweep, True),
                ("deadlines", DEADLINES_SECONDS, self.give_up, True),
                ("depth", DEPTH_SECONDS, self.measure, False),
                ("trouble", TROUBLE_SECONDS, self.look_for_trouble, False),
                ("housekeeping", HOUSEKEEPING_SECONDS, self.keep_house, False),
            ):
                loops.create_task(self._house.trouble.keep_doing(where, seconds, step, grave=grave))

    async def sweep(self) -> None:
        """End dead daemons' leases, and take back what no living daemon holds."""
        dead = await self._house.leases.end_dead(self._house.heartbeat.own_leases)
        if dead:
            log.warning("daemons died", daemons=dead)
        self._taken_back(await self._house.leases.rescue(self._house.sender_domain()))

    async def give_up(self) -> None:
        """Give up attempts past their deadline."""
        retry_seconds = self._house.retry_schedule()[0]
        patience, domain = self._house.job_deadline, self._house.sender_domain()
        self._taken_back(await self._house.leases.expire(retry_seconds, patience, domain))

    def _taken_back(self, jobs: Rescued) -> None:
        if jobs.again or jobs.parked:
            log.warning("jobs taken back", again=jobs.again, ended=jobs.parked)
            self._house.metrics.rescued(jobs.again + jobs.parked)
            self._house.heartbeat.woken.set()

    async def measure(self) -> None:
        """Bring the queue's depth into the vitals."""
        vitals = self._house.vitals
        held_back = {*vitals.resting_lanes, *vitals.lowered}  # those have checks of their own
        oldest = self._house.book.oldest_due(lambda lane: str(lane) in held_back)
        vitals.queue = await self._house.claims.depth(oldest)

    async def look_for_trouble(self) -> None:
        """Warn of a transaction that holds vacuum back, and of history rows outside every month."""
        row = await self._house.database.claims.fetchrow("maintenance/look_for_trouble", HORIZON_SECONDS)
        warnings = self._house.vitals.warnings
        warnings.pop("history", None)
        warnings.pop("horizon", None)
        if row is not None and row["strays"]:
            warnings["history"] = (
                "history rows lie in a default partition: no month's partition took them; "
                "check that the worker role may run make_partitions"
            )
        if row is not None and row["pid"] is not None:
            warnings["horizon"] = (
                f"a transaction of {row['application_name'] or 'an unnamed client'} (pid {row['pid']}) has been open "
                f"for {row['seconds']:.0f} s and keeps vacuum from cleaning the queue: end it"
            )

    async def keep_house(self) -> None:
        """Make partitions ahead, drop those past retention, forget old keys, figures and daemons."""
        gateway = self._house.database.claims
        months = self._house.retention_months()
        await gateway.execute("maintenance/make_partitions", MONTHS_AHEAD)
        await gateway.execute("maintenance/purge_keys", months, PURGE_BATCH)
        await gateway.execute("maintenance/purge_blobs", months, PURGE_BATCH)
        await gateway.execute("maintenance/purge_metrics", METRICS_DAYS)
        await gateway.execute("maintenance/purge_progress", months)
        await gateway.execute("leases/forget")
        await gateway.execute("limits/purge", PURGE_BATCH)
        await gateway.execute("limits/purge_learned", PURGE_BATCH)
        await gateway.execute("destinations/forget", LEARNED_DAYS, PURGE_BATCH)
        await gateway.execute("maintenance/drop_partitions", months)  # last: it waits for locks
