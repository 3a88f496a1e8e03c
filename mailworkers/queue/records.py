"""Reading jobs, live and ended: lists bounded in what they look at, and everything that is known of one job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from mailworkers.db.pool import Gateway

# How many rows a list looks at for those that match: it must stay quick on a table of millions.
LOOKED_AT = 20_000

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


async def list_jobs(database: Gateway, wanted: Wanted) -> list[JobLine]:
    """The newest jobs that match, among the newest `LOOKED_AT` of each table.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    where = (wanted.workspace_id, wanted.to_email, LOOKED_AT, wanted.limit)
    rows: list[Any] = []
    if wanted.status is None or wanted.status in LIVE_STATES:
        rows += await database.fetch("inspect/live" + (f"_{wanted.status}" if wanted.status else ""), *where)
    if wanted.status is None or wanted.status in ENDED_STATES:
        name = "inspect/ended" if wanted.status in (None, "sent") else "inspect/ended_not_sent"
        rows += await database.fetch(name, *where, wanted.status)
    lines = sorted((JobLine(**row) for row in rows), key=lambda line: line.job_id, reverse=True)
    return lines[: wanted.limit]


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
