"""Leads whose mail of a campaign was not sent, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mailworkers.db.pool import Gateway

LOOKED_AT: Final = 5000  # of all mails that were not sent, in one query
ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NotSent:
    """One mail that was not sent. `reply` is the relay's last answer, or why it was never offered to one."""

    lead_id: int
    email: str
    status: str
    attempts: int
    code: int | None
    reply: str
    job_id: int
    finished_at: datetime


async def failures(database: Gateway, campaign_id: int, started_at: datetime | None) -> AsyncIterator[NotSent]:
    """In the order in which they ended, so far. Raises as every call of a gateway.

    Args:
        database: where the record is.
        campaign_id: whose.
        started_at: its start, before which nothing of it can have ended; None where it has not started.
    """
    if started_at is None:
        return
    place = (ALWAYS, 0)
    while rows := await database.fetch("campaigns/not_sent", campaign_id, started_at, *place, LOOKED_AT):
        for row in rows:
            if row["mine"]:
                yield NotSent(
                    row["lead_id"], row["email"], row["status"], row["attempts"], row["code"], row["reply"] or "",
                    row["job_id"], row["finished_at"],
                )  # fmt: skip
        if len(rows) < LOOKED_AT:
            return
        place = (rows[-1]["finished_at"], rows[-1]["job_id"])
