"""The life of a job, in one place.

                 ┌─────────────────── claim ──────────────────┐
                 │                                            ▼
    INSERT ──▶ waiting ◀── release, snooze, disown, rescue ── sending ── ack ──────────────────▶ sent
                                                              │ ▲ │ ├─── ack ──────────────────▶ failed
               retrying ◀── retry, expire ────────────────────┘ │ │ ├─── ack, expire, rescue ──▶ abandoned
                 │                                              │ │ └─── ack, expire, rescue ──▶ unknown ── settle ──▶ sent
                 └─────────────────── claim ────────────────────┘ └ mark, adopt: it stays where it is

    leads ── make ──▶ waiting
    waiting, retrying, paused ── cancel, cancel_campaign_jobs ──▶ cancelled
    waiting, retrying, paused ── withdraw_lead ──▶ suppressed
    sending ── withdraw_job, as it would wait again ──▶ suppressed
    failed, abandoned, cancelled, suppressed, unknown ── bring_back ──▶ waiting

Left of the ends a job is one row of email_jobs, an end is one row of email_sends, and each move from one table to the other is
one statement: a job is in one of them, never in both or neither, until its month of history is dropped. A ready job is
`retrying` where an attempt was spent and `waiting` where none was; claims treat them alike.

    from               to                    by the statement     where
    ─                  waiting               INSERT               its idempotency key is new; it is due at scheduled_at
    ─                  waiting               campaigns/make       its campaign runs and has room; its lead is active, matches and
                                                                  has no mail of it yet
    waiting, retrying  sending               queue/claim          it is due, nobody has its row, the claimer's lease has not ended,
                                                                  its campaign is not held
    sending            sending               queue/mark           the lease number matches; before the first byte of DATA
    sending            sending               leases/adopt         it stands under a lease that this process had before
    sending            sent                  queue/ack_sent       the lease number matches
    sending            failed, abandoned,    queue/ack_failed     the lease number matches
                       unknown
    sending            retrying              queue/ack_failed     the lease number matches; an attempt is spent
    sending            waiting, retrying     queue/ack_failed     the lease number matches; a release or snooze, none is spent
    sending            waiting, retrying     leases/disown        its own daemon does not know of it, and it is not marked
    sending            waiting, retrying     leases/rescue        its daemon's lease has ended or is not known
                       unknown                                    … and it is marked
                       abandoned                                  … and it saw too many daemons die
    sending            retrying              leases/expire        the lease number matches, and it was seen past its
                                                                  deadline for as long as an attempt may take
                       unknown                                    … and it is marked
                       abandoned                                  … and the retries are spent
    waiting, retrying, cancelled             change/cancel        the state
    paused
    waiting, retrying, cancelled             campaigns/cancel_jobs  the state, and its campaign is being cancelled
    paused
    waiting, retrying, suppressed            withdraw_lead        the state; a trigger, where its lead may not be written to any more
    paused
    sending            suppressed            withdraw_job         what makes it waiting or retrying; a trigger, where its lead has left
    retrying           retrying, due now     change/run_now       the state
    failed, abandoned, waiting               change/bring_back    the state, and that the whole job was kept; attempts begin anew
    cancelled,                                                    not where its lead may not be written to
    suppressed, unknown
    unknown            sent                  change/settle_sent   the state: a person knows that it arrived

What fences them:

    the lease number    Each claim takes a new one from a sequence; whatever moves the job out of `sending` clears it. None is used
                        twice, so that a late or repeated result, mark or expiry matches nothing and changes nothing, no figure
                        either.
    the daemon's lease  It stands behind all jobs that the daemon holds. Where it has ended (`mailworkers/queue/leases.py`),
                        nothing is claimed under it, and `rescue` takes back what it holds.
    the state           Under the row's lock it decides between a person and a claim: one wins, the other changes nothing.
    the mark            It outlives the process. Whoever takes a marked job back without its holder's word for how the
                        attempt ended, ends it as unknown.

What stays the same from the insert on, also through `bring_back`: the id, `message_token` and with it the Message-ID, and the
idempotency key, which is kept as long as the job and its history. `attempts` never pass `max_retries` + 1. A job whose campaign is held
(`campaign_sends.held`) is shown as `paused` and stays as it is; no statement writes that state. Each end of a job that was made from a
lead, and each way back, changes its campaign's progress in the same statement. `tests/queue/test_state_machine.py` holds all of
this against a model, but for campaigns: `tests/campaigns` and case 43 of the faults do that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailworkers.frozen import frozen
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


@frozen
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


@frozen
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
    it is the relay that put the mail off, which may not go on for ever; `ours` where the mail waits by our own choice, and how
    long the relay had put it off before is forgotten."""

    job: Job
    delay: float
    why: str = ""
    put_off: bool = False
    ours: bool = False


Result = Sent | Ended | Retry | Snooze
