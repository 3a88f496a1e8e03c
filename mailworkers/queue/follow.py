"""Following one job from outside until it ends, fails for the first time, or nobody is there to send it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from mailworkers.db.pool import Gateway
from mailworkers.errors import EX_UNAVAILABLE, MailworkersError
from mailworkers.queue.overview import DaemonLine
from mailworkers.queue.records import read_job

LOOK_SECONDS = 0.1


class NotSentYet(MailworkersError):
    """The mail is queued, and will be sent when a daemon and the relay allow it."""

    exit_code = EX_UNAVAILABLE


class Followed(StrEnum):
    """How following ended."""

    SENT = "sent"
    NOT_SENT = "not-sent"
    WILL_RETRY = "will-retry"
    STILL_WAITING = "still-waiting"
    NO_DAEMON = "no-daemon"


@dataclass(frozen=True, slots=True)
class Story:
    """What became of the job so far; `reply` is the relay's last answer, or why it was not sent."""

    job_id: int
    outcome: Followed
    status: str
    reply: str


async def follow(database: Gateway, job_id: int, timeout: float) -> Story:
    """Look at a job again and again until something is known.

    Args:
        timeout: seconds; 0 looks once.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    while True:
        story = await _look(database, job_id)
        if story.outcome is not Followed.STILL_WAITING:
            return story
        if timeout and story.status == "waiting" and not await _somebody_sends(database):
            return Story(job_id, Followed.NO_DAEMON, story.status, story.reply)
        if loop.time() >= ends:
            return story
        await asyncio.sleep(LOOK_SECONDS)


async def _look(database: Gateway, job_id: int) -> Story:
    record = await read_job(database, job_id)
    if record is None:  # between its deletion from one table and this look at the other: the next look finds it
        return Story(job_id, Followed.STILL_WAITING, "sending", "")
    reply = str(record.columns.get("reply") or "")
    if record.live:
        outcome = Followed.WILL_RETRY if record.status == "retrying" else Followed.STILL_WAITING
    else:
        outcome = Followed.SENT if record.status == "sent" else Followed.NOT_SENT
    return Story(job_id, outcome, record.status, reply)


async def _somebody_sends(database: Gateway) -> bool:
    return any(DaemonLine(**row).alive for row in await database.fetch("inspect/daemons"))
