"""Reading how the whole is doing: daemons, workers, depth, figures, failures. Every query is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailworkers.db.pool import Gateway
from mailworkers.queue.claim import Claims
from mailworkers.queue.depth import QueueDepth

LANES_LOOKED_AT = 2_000  # for the oldest due job: one index descent each
TOLD_SECONDS = 30.0  # daemons tell each second what they have learned; what is older is over
MOST_LOWERED = 20  # lanes, the slowest
FAILURES_COUNTED = 10_000
MOST_CAMPAIGNS = 12  # those that send first; `mailworkers campaign list` has all
LONG_TRANSACTION_SECONDS = 60.0  # one that is open longer holds vacuum back, and slows every claim


@dataclass(frozen=True, slots=True)
class DaemonLine:
    """One daemon. `alive`: it can send, since its lease holds, and its session lock where it has one."""

    id: int
    instance: str
    ordinal: int
    host: str
    pid: int
    version: str
    started_at: datetime
    ended_at: datetime | None
    ended_why: str | None
    session_lock: bool
    alive: bool
    renewed_ago: float
    up: float

    @property
    def name(self) -> str:
        return self.instance if self.ordinal == 1 else f"{self.instance}#{self.ordinal}"


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """One worker of a living daemon, as of that daemon's last heartbeat."""

    daemon_id: int
    slot: int
    name: str
    state: str
    sent: int
    failed: int
    connected_for: float | None
    daemon_up: float

    @property
    def per_minute(self) -> float:
        """Mails sent a minute since the daemon started."""
        return self.sent * 60 / self.daemon_up if self.daemon_up > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums of the minute roll-up, so that the last minute and the last hour are close to it, not exact."""

    sent_last_minute: int = 0
    sent_last_hour: int = 0
    sent_last_day: int = 0
    failed_last_day: int = 0
    abandoned_last_day: int = 0
    unknown_last_day: int = 0
    retried_last_hour: int = 0
    snoozed_last_hour: int = 0


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One campaign under way. `expected` is None until its leads have been counted; `mails_per_second` is since its start without
    pauses, and `ends_at` follows from it; None where nothing can be said."""

    campaign_id: int
    workspace: str
    name: str
    status: str
    expected: int | None
    sent: int
    done: int
    live: int
    start_at: datetime | None
    mails_per_second: float | None
    ends_at: datetime | None
    why: str | None


@dataclass(frozen=True, slots=True)
class LoweredLine:
    """A lane, or a relay as a whole, that daemons send to more slowly since it asked for that: mails a second over all daemons, since when,
    how many daemons know, the seconds for which it still rests, and what the relay said."""

    scope: str
    name: str
    rate: float
    since: datetime
    daemons: int
    rests: float
    reason: str


@dataclass(frozen=True, slots=True)
class FailureLine:
    """Failures of one kind within the hour."""

    failure_class: str
    code: int | None
    enhanced_code: str | None
    times: int
    last_at: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that one screen shows."""

    schema_version: int
    daemons: tuple[DaemonLine, ...]
    workers: tuple[WorkerLine, ...]
    queue: QueueDepth
    figures: Figures
    failures: tuple[FailureLine, ...]
    warnings: tuple[str, ...]
    campaigns: tuple[CampaignLine, ...] = ()
    lowered: tuple[LoweredLine, ...] = ()


async def read_overview(database: Gateway) -> Overview:
    """Ask for all of it.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    daemons = tuple(DaemonLine(**row) for row in await database.fetch("inspect/daemons"))
    workers = tuple(WorkerLine(**row) for row in await database.fetch("inspect/workers"))
    queue = await read_depth(database)
    figures = await database.fetchrow("inspect/figures")
    failures = tuple(
        FailureLine(row["class"], row["code"], row["enhanced_code"], row["times"], row["last_at"], row["example"])
        for row in await database.fetch("inspect/failures", FAILURES_COUNTED)
    )
    warnings = (*_of_daemons(daemons, queue), *await _of_the_database(database), *await _of_warm_ups(database))
    campaigns = tuple(CampaignLine(**row) for row in await database.fetch("campaigns/running", MOST_CAMPAIGNS))
    lowered = await read_lowered(database, MOST_LOWERED)
    version = int(await database.fetchval("inspect/schema_version"))
    return Overview(
        version,
        daemons,
        workers,
        queue,
        Figures(**figures) if figures else Figures(),
        failures,
        warnings,
        campaigns,
        lowered,
    )


async def read_lowered(database: Gateway, most: int) -> tuple[LoweredLine, ...]:
    """What daemons have learned and keep to, the slowest first. Raises as `read_overview`."""
    return tuple(LoweredLine(**row) for row in await database.fetch("inspect/lowered", TOLD_SECONDS, most))


async def read_depth(database: Gateway) -> QueueDepth:
    """Live jobs by state, counted up to a bound, and since when the oldest due one waits. Raises as `read_overview`."""
    oldest = await database.fetchval("inspect/oldest_due", LANES_LOOKED_AT)
    return await Claims(database, deadline_seconds=0).depth(oldest)


def _of_daemons(daemons: tuple[DaemonLine, ...], queue: QueueDepth) -> list[str]:
    found = [
        f"daemon {daemon.name} on {daemon.host} does not answer: its lease was last renewed {daemon.renewed_ago:.0f} s ago"
        for daemon in daemons
        if daemon.ended_at is None and not daemon.alive
    ]
    if not any(daemon.alive for daemon in daemons) and queue.oldest_due_seconds is not None:
        found.append("mails are due and no daemon is running: start one with `mailworkers run`")
    return found


async def _of_the_database(database: Gateway) -> list[str]:
    row = await database.fetchrow("maintenance/look_for_trouble", LONG_TRANSACTION_SECONDS)
    if row is None:
        return []
    found = []
    if row["pid"] is not None:
        who = row["application_name"] or "an application without a name"
        found.append(
            f"{who} (pid {row['pid']}) keeps a transaction open for {row['seconds']:.0f} s: it slows every claim until it ends"
        )
    if row["strays"]:
        found.append("history rows lie in a default partition: check that a daemon runs and may make partitions")
    return found


async def _of_warm_ups(database: Gateway) -> list[str]:
    return [
        f"the warm-up of {row['sender']} is {row['status']}{': ' + row['why'] if row['why'] else ''}; "
        f"its mails wait for `mailworkers warmup resume {row['sender']}`"
        for row in await database.fetch("inspect/warm_ups")
    ]
