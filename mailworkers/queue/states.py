"""The life of a job, in one place.

                       ┌───────────────── claim ─────────────────┐
                       │                                         ▼
    INSERT ──▶ waiting ┤◀── release, rescue, snooze ─────────  sending ──▶ sent
                       │                                         │  │ ├──▶ failed      the answer was permanent
              retrying ┤◀── an attempt was spent ────────────────┘  │ ├──▶ abandoned   the retries are spent
                       │                                            │ └──▶ unknown     at most once, and the end was lost
                paused ┘        (claims pass these by)              │
                       └──── cancel ──▶ cancelled                   └── rescue of a marked at-most-once job ──▶ unknown

Left of the ends a job is a row of email_jobs; an end is a row of email_sends. Only the holder of a job's lease number
moves it out of `sending`; a rescue takes the number away first. `suppressed` ends a job before its first claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailworkers.replies import FailureClass, RefusedRecipient, Reply, Stage


class End(StrEnum):
    """How a job ends other than by being sent; stored in `email_sends.status`."""

    FAILED = "failed"
    ABANDONED = "abandoned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """Whose mail goes where: limits, pauses and throttling of one lane never touch another."""

    workspace_id: str
    destination_group: str = ""

    def __str__(self) -> str:
        return f"{self.workspace_id} → {self.destination_group}" if self.destination_group else self.workspace_id


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed job. `lease` is the number that every later statement about it must match.

    `waited` is in seconds, from when the job was due to its claim, by the database's clock; `claimed` is this process's
    monotonic time of the claim; `size` is what its content holds in memory, in characters; `row` holds the columns of the contract.
    `put_off` is for how many seconds, at its claim, the relay had put it off without an attempt being spent.
    """

    id: int
    lease: int
    lane: Lane
    attempts: int
    max_retries: int
    job_type: str
    at_most_once: bool
    waited: float
    claimed: float
    size: int
    row: Mapping[str, Any]
    put_off: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """The relay took the mail."""

    job: Job
    message_id: str
    reply: Reply
    refused: tuple[RefusedRecipient, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt did not end in a sent mail; `stage` and `reply` where there was a conversation."""

    failure: FailureClass
    text: str
    stage: Stage | None = None
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The job's last attempt failed."""

    job: Job
    end: End
    why: Failure
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt is spent; the next follows in `delay` seconds."""

    job: Job
    delay: float
    why: Failure


@dataclass(frozen=True, slots=True)
class Snooze:
    """No attempt is spent. `delay` in seconds; 0 releases the job at once. `why` is empty for a plain release. `put_off` where
    it is the relay that put the mail off, which may not go on for ever."""

    job: Job
    delay: float
    why: str = ""
    put_off: bool = False


Result = Sent | Ended | Retry | Snooze
