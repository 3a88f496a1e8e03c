"""From what became of an attempt to what becomes of its job."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Sequence

from mailworkers.queue.states import End, Ended, Failure, Job, Result, Retry, Sent, Snooze
from mailworkers.replies import (
    Accepted,
    Broken,
    Deferred,
    FailureClass,
    Lost,
    Outcome,
    Rejected,
    RelayDown,
    Stage,
    Throttled,
)

JITTER = 0.1  # of each delay, either way: mails that failed together do not come back together
THROTTLED_SECONDS = 60.0  # where a relay asks for less without naming a time
CLOSING_SECONDS = 5.0  # a relay that closes twice under one mail is about to restart
DOWN_SECONDS = 5.0  # the dispatcher holds back meanwhile; this only keeps another daemon from taking it at once


def jittered(seconds: float) -> float:
    """`seconds`, up to a tenth more or less."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- jitter, not a secret


def not_before(seconds: float) -> float:
    """`seconds` that a relay named, up to a tenth more."""
    return seconds * random.uniform(1, 1 + JITTER)  # noqa: S311 -- as above


def result_of(  # noqa: PLR0911 -- one case, one return
    job: Job, outcome: Outcome, message_id: str, schedule: Sequence[float], give_up: float = math.inf
) -> Result:
    """What to record.

    Args:
        job: as it was claimed.
        outcome: of this attempt.
        message_id: of the mail, for the record.
        schedule: seconds before the first, second … retry; the last repeats.
        give_up: seconds after which a mail that the relay keeps putting off is abandoned.
    """
    match outcome:
        case Accepted(reply, refused):
            return Sent(job, message_id, reply, refused)
        case Rejected(failure, text, reply):
            return Ended(job, End.FAILED, Failure(failure, text, reply=reply), message_id)
        case Deferred(failure, text, reply):
            return spend_attempt(job, Failure(failure, text, reply=reply), message_id, schedule)
        case Throttled(text, reply, retry_after):
            why = Failure(FailureClass.PROVIDER, text, reply=reply)
            delay = jittered(THROTTLED_SECONDS) if retry_after is None else not_before(retry_after)
            return put_off(job, delay, why, message_id, give_up)
        case RelayDown(text):
            return Snooze(job, jittered(DOWN_SECONDS), text)
        case Broken(stage, text, closing=True):
            why = Failure(FailureClass.NETWORK, text, stage=stage)
            return put_off(job, jittered(CLOSING_SECONDS), why, message_id, give_up)
        case Broken(stage, text):
            return spend_attempt(job, Failure(FailureClass.NETWORK, text, stage=stage), message_id, schedule)
        case Lost(text):
            why = Failure(FailureClass.NETWORK, text, stage=Stage.FINAL)
            if job.at_most_once:
                return Ended(job, End.UNKNOWN, why, message_id)
            return spend_attempt(job, why, message_id, schedule)


def put_off(job: Job, delay: float, why: Failure, message_id: str, give_up: float) -> Result:
    """Another try in `delay` seconds that spends no attempt, or the end where the relay has put the mail off for long enough:
    without it, one that is throttled whenever it is tried would go round for ever. Other arguments as for `result_of`.

    A relay that cannot be talked to at all ends no mail: that is no answer to any of them, and `/health` says it aloud.
    """
    lasted = job.put_off + time.monotonic() - job.claimed if job.put_off else 0.0
    if lasted < give_up:
        return Snooze(job, delay, why.text, put_off=True)
    text = f"given up after the relay put it off for {lasted / 3600:.1f} hours: {why.text}"
    return Ended(job, End.ABANDONED, dataclasses.replace(why, text=text), message_id)


def spend_attempt(job: Job, why: Failure, message_id: str, schedule: Sequence[float]) -> Result:
    """Another try on the schedule, or the end where none is left. Arguments as for `result_of`."""
    if job.attempts >= job.max_retries:
        return Ended(job, End.ABANDONED, why, message_id)
    return Retry(job, jittered(schedule[min(job.attempts, len(schedule) - 1)]), why)
