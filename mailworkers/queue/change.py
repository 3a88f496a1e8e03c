"""What a person may change about one job: run it again, cancel it, or say how it ended where nobody here can know.

Each change is one statement, fenced by the job's state: of two persons at once, one wins and the other is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from mailworkers.db.pool import Gateway
from mailworkers.queue.records import JobRecord, read_job

CERTAINLY_NOT_SENT = ("failed", "abandoned", "cancelled", "suppressed")
PERHAPS_SENT = ("unknown",)
SETTLED = "settled by a person"  # how the record's text begins where a person said how it ended


class Now(StrEnum):
    """What a change made of the job."""

    DUE = "is due now"
    LIVES_AGAIN = "waits to be sent again, with its old number and Message-ID"
    CANCELLED = "is cancelled"
    SENT = "counts as sent"


@dataclass(frozen=True, slots=True)
class Changed:
    """The change is committed."""

    job_id: int
    now: Now


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was changed; `why` and what `hint` says to do are each one line."""

    job_id: int
    why: str
    hint: str = ""


async def retry(database: Gateway, job_id: int, *, even_if_perhaps_sent: bool = False) -> Changed | Refused:
    """Run a job again: a retrying one now, one that ended without being sent from the start.

    Args:
        job_id: its number, which it keeps, with the Message-ID that comes of it. One to a lead that may not be written to any
            more is refused.
        even_if_perhaps_sent: also bring back a job whose end is unknown, so that it may be sent twice.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    if await database.fetchval("change/run_now", job_id) is not None:
        return Changed(job_id, Now.DUE)
    states = CERTAINLY_NOT_SENT + (PERHAPS_SENT if even_if_perhaps_sent else ())
    if await database.fetchval("change/bring_back", job_id, list(states), None) is not None:
        return Changed(job_id, Now.LIVES_AGAIN)
    record = await read_job(database, job_id)
    if record is not None and record.status in states:
        left = await _lead_has_left(database, job_id, record)
        if left is not None:
            return left
    return _why_not_retried(job_id, record)


async def cancel(database: Gateway, job_id: int) -> Changed | Refused:
    """End a job that is not being sent just now. It is kept whole, so that `retry` can bring it back. Raises as `retry`."""
    if await database.fetchval("change/cancel", job_id, "cancelled by hand") is not None:
        return Changed(job_id, Now.CANCELLED)
    record = await read_job(database, job_id)
    if record is None:
        return _no_such(job_id)
    if record.live:
        return Refused(job_id, f"job {job_id} is being sent just now", "Look at it again in a moment")
    return Refused(job_id, f"job {job_id} has already ended: it is {record.status}")


async def settle(database: Gateway, job_id: int, *, sent: bool) -> Changed | Refused:
    """Say how a job of unknown end did end. The record's text keeps that a person said so, and when.

    Args:
        job_id: its number, which it keeps, with the Message-ID that comes of it.
        sent: the mail arrived, and the record says so from now on; else it did not, and the job runs again from the start,
            with all its attempts and unmarked.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    said = f"{SETTLED} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    if sent:
        if await database.fetchval("change/settle_sent", job_id, f"{said}: it was sent") is not None:
            return Changed(job_id, Now.SENT)
    else:
        states = list(PERHAPS_SENT)
        if await database.fetchval("change/bring_back", job_id, states, f"{said}: to be sent again") is not None:
            return Changed(job_id, Now.LIVES_AGAIN)
    record = await read_job(database, job_id)
    if record is not None and record.status in PERHAPS_SENT and not sent:
        left = await _lead_has_left(database, job_id, record)
        if left is not None:
            return left
    return _why_not_settled(job_id, record)


async def _lead_has_left(database: Gateway, job_id: int, record: JobRecord) -> Refused | None:
    why = await database.fetchval("change/why_no_mail", job_id)
    if why is None:
        return None
    return Refused(
        job_id,
        f"job {job_id} is {record.status} and stays so: {why}",
        "Only mail to a lead that is active can be sent again",
    )


def _why_not_settled(job_id: int, record: JobRecord | None) -> Refused:
    if record is None:
        return _no_such(job_id)
    text = str(record.columns["reply"] or "")
    if text.startswith(SETTLED):
        return Refused(job_id, f"job {job_id} is {record.status}: it was {text.partition('; before: ')[0]}")
    hint = "`mailworkers jobs retry` runs it again" if record.status in CERTAINLY_NOT_SENT else ""
    return Refused(job_id, f"job {job_id} is {record.status}: only one of unknown end can be settled", hint)


def _why_not_retried(job_id: int, record: JobRecord | None) -> Refused:
    match record.status if record is not None else "":
        case "":
            return _no_such(job_id)
        case "sent":
            return Refused(job_id, f"job {job_id} was sent: it would go out twice", "Insert a new job to write again")
        case "unknown":
            return Refused(
                job_id,
                f"job {job_id} may have been sent, nobody here can know",
                f"Find out whether it arrived, then run `mailworkers jobs settle {job_id} --sent` or `--retry`",
            )
        case "sending":
            return Refused(job_id, f"job {job_id} is being sent just now", "Look at it again in a moment")
        case "waiting":
            return Refused(job_id, f"job {job_id} waits for its turn and needs no retry")
        case status:
            return Refused(job_id, f"job {job_id} is {status}: it cannot be run again from here")


def _no_such(job_id: int) -> Refused:
    return Refused(job_id, f"there is no job {job_id}", "See `mailworkers jobs list`")
