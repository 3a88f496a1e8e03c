"""Reading jobs, live and ended: lists bounded in what they look at, and everything that is known of one job."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from mailworkers.db.pool import Gateway

# How many rows one query looks at for those that match, and for how long a list goes on with the next ones: no index serves
# all that may be asked for, and a list must stay quick on a table of millions.
LOOKED_AT = 20_000
SEARCH_SECONDS = 5.0
_ABOVE_ALL = 2**63 - 1
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)

LiveStatus = Literal["waiting", "sending", "retrying", "paused"]
EndedStatus = Literal["sent", "failed", "abandoned", "cancelled", "suppressed", "unknown"]
JobStatus = Literal[LiveStatus, EndedStatus]
LIVE_STATES: tuple[str, ...] = get_args(LiveStatus)
ENDED_STATES: tuple[str, ...] = get_args(EndedStatus)


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job in a list. `finished_at` is None while it lives."""

    job_id: int
    workspace_id: str
    campaign_id: int | None
    job_type: str
    to_email: str | None
    subject: str | None
    status: str
    attempts: int
    reply: str | None
    created_at: datetime
    scheduled_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs to list, newest first. None means any. An address matches without regard to case."""

    status: JobStatus | None = None
    workspace_id: str | None = None
    to_email: str | None = None
    limit: int = 20
    campaign_id: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The jobs found, newest first. `cut` tells that the search ended before it had found as many as were wanted or looked at
    everything, after `looked_at` rows."""

    lines: list[JobLine]
    looked_at: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that failed. `next_try_at` is None where no other followed."""

    created_at: datetime
    attempt: int
    failure_class: str
    stage: str | None
    code: int | None
    enhanced_code: str | None
    text: str
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Everything known of one job: `columns` of its row in email_jobs or email_sends, and the latest failed attempts."""

    live: bool
    columns: Mapping[str, Any]
    attempts: tuple[Attempt, ...]

    @property
    def status(self) -> str:
        return str(self.columns["status"])


async def list_jobs(database: Gateway, wanted: Wanted, seconds: float = SEARCH_SECONDS) -> Listing:
    """The newest jobs that match, as far back as `seconds` reach.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    ends = time.monotonic() + seconds
    found = Listing([], 0, cut=False)
    if wanted.status is None or wanted.status in LIVE_STATES:
        name = "inspect/live" + (f"_{wanted.status}" if wanted.status else "")
        found = _both(found, await _search(database, name, wanted, ends))
    if wanted.status is None or wanted.status in ENDED_STATES:
        name = "inspect/ended" if wanted.status in (None, "sent") else "inspect/ended_not_sent"
        found = _both(found, await _search(database, name, wanted, ends))
    lines = sorted(found.lines, key=lambda line: line.job_id, reverse=True)[: wanted.limit]
    return replace(found, lines=lines)


async def _search(database: Gateway, name: str, wanted: Wanted, ends: float) -> Listing:
    """Go down one table, `LOOKED_AT` rows at a time, until enough is found, nothing is left, or it is `ends` o'clock."""
    lines: dict[int, JobLine] = {}
    looked_at = 0
    below: Any = _END_OF_TIME if name == "inspect/ended_not_sent" else _ABOVE_ALL
    status = (wanted.status,) if name.startswith("inspect/ended") else ()
    while True:
        where = (wanted.workspace_id, wanted.to_email, LOOKED_AT, wanted.limit, wanted.campaign_id, below, *status)
        rows = await database.fetch(name, *where)
        seen, down_to = rows[0]["seen"], rows[0]["down_to"]
        for row in rows:
            if row["job_id"] is not None:
                lines[row["job_id"]] = JobLine(*tuple(row)[2:])
        looked_at += seen
        whole = seen < LOOKED_AT or len(lines) >= wanted.limit
        if whole or down_to == below or time.monotonic() >= ends:
            return Listing(list(lines.values()), looked_at, cut=not whole)
        below = down_to


def _both(one: Listing, other: Listing) -> Listing:
    return Listing(one.lines + other.lines, one.looked_at + other.looked_at, one.cut or other.cut)


async def read_job(database: Gateway, job_id: int) -> JobRecord | None:
    """One job, live or ended; None where no job has that number. Raises as `list_jobs`."""
    live = await database.fetchrow("inspect/job", job_id)
    row = live or await database.fetchrow("inspect/end", job_id)
    if row is None:
        return None
    columns = dict(row)
    for name in ("headers", "refused"):
        if columns.get(name):
            columns[name] = json.loads(columns[name])
    attempts = [
        Attempt(**{("failure_class" if name == "class" else name): value for name, value in one.items()})
        for one in await database.fetch("inspect/attempts", job_id)
    ]
    return JobRecord(live is not None, columns, tuple(reversed(attempts)))
