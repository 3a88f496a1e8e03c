"""What an attempt's outcome sets in motion: a result to record, a lane that rests, figures."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.outcomes import jittered, result_of
from mailworkers.daemon.pacing import Pacing
from mailworkers.daemon.vitals import Vitals
from mailworkers.queue.ack import AckWriter, Written
from mailworkers.queue.states import Ended, Job, Lane, Result, Retry, Sent, Snooze
from mailworkers.replies import Accepted, Broken, Deferred, Outcome, Rejected, Reply, Stage, Throttled

# A sender that was refused needs a person; meanwhile few of its mails are burnt.
POLICY_REST_SECONDS = 300.0
# So many recipients refused one after the other, with no mail accepted between, are the sender's trouble, not theirs.
RECIPIENTS_IN_A_ROW = 3
# Greylisting puts each new recipient off once. To send more slowly would not help.
GREYLISTED = re.compile(r"\bgr[ae]y-?list", re.IGNORECASE)

log = structlog.get_logger(__name__)


class Settling:
    """Turns outcomes into results, once for all workers.

    Args:
        acks: takes the results.
        buffer: takes back a job whose connection broke, for its one immediate second try.
        metrics, vitals: figures.
        pacing: learns from the replies how much the relay takes, and lets lanes rest.
        schedule: gives the seconds before each retry, as the settings have them now.
        give_up: gives the seconds after which a mail that is only put off is abandoned, likewise.
    """

    def __init__(
        self,
        acks: AckWriter,
        buffer: Buffer,
        metrics: Metrics,
        vitals: Vitals,
        pacing: Pacing,
        *,
        schedule: Callable[[], Sequence[float]],
        give_up: Callable[[], float],
    ) -> None:
        self.completed = 0
        self._acks = acks
        self._buffer = buffer
        self._metrics = metrics
        self._vitals = vitals
        self._pacing = pacing
        self._schedule = schedule
        self._give_up = give_up
        self._tried_again: set[int] = set()
        self._refusals: dict[Lane, tuple[int, str]] = {}  # recipients refused in a row, and the last of them
        self._durations: list[float] = []
        self._waits: list[float] = []

    def settle(self, job: Job, outcome: Outcome, message_id: str, began: float, *, may_try_again: bool) -> bool | None:
        """Record what became of an attempt; tells whether the mail was sent, None where that was no attempt.

        Args:
            job: as claimed.
            outcome: of the attempt.
            message_id: for the record.
            began: monotonic time when the connection got the mail.
            may_try_again: whether a job whose connection broke may go back into the buffer (not while draining).
        """
        match outcome:
            case Accepted():
                if self._refusals:
                    self._refusals.pop(job.lane, None)
                self._pacing.accepted(job.lane)
                self._note_sent(job, began)
            case Broken(begun=False):  # what its connection met may concern it: it waits where that is known
                self.release([job])
                return None
            case Broken(closing=True) if may_try_again and self._pacing.is_lowered(job.lane):
                self.release([job])  # it has its turn when the lane has
                return None
            case Broken() if may_try_again and job.id not in self._tried_again:
                self._tried_again.add(job.id)
                self._buffer.put_back(job)
                return None
            case _:
                self._learn(job, outcome, began)
        self.record(result_of(job, outcome, message_id, self._schedule(), self._give_up()))
        return isinstance(outcome, Accepted)

    def _learn(self, job: Job, outcome: Outcome, began: float) -> None:
        """What a refusal tells of the lane."""
        match outcome:
            case Throttled(text, reply, retry_after):
                self._metrics.throttled()
                rest = self._pacing.refused(job.lane, began, text, retry_after) if self._is_lanes(job, reply) else 0.0
                if rest:
                    self._rest(job.lane, rest, text)
            case Rejected(policy=True, text=text, reply=reply):
                if self._is_lanes(job, reply):
                    self._rest(job.lane, jittered(POLICY_REST_SECONDS), text)
            case Rejected() | Deferred():
                self._pacing.answered(job.lane)

    def record(self, result: Result) -> None:
        """Hand a result to the writer."""
        self._tried_again.discard(result.job.id)
        self.completed += 1
        self._acks.put(result)

    def release(self, jobs: Sequence[Job]) -> None:
        """Give claimed jobs back as they were: no attempt is spent, they keep their place."""
        for job in jobs:
            self._tried_again.discard(job.id)
            self._acks.put(Snooze(job, 0.0))

    def written(self, written: Written) -> None:
        """A group commit is done: now its figures count."""
        self._vitals.last_ack = time.monotonic()
        self._vitals.writing_stalled = False
        self._pacing.load.acks.add(written.seconds)
        if not self._metrics.enabled:
            return
        durations, self._durations = self._durations, []
        waits, self._waits = self._waits, []
        self._metrics.sent(durations, waits)
        self._metrics.acked(len(written.results), written.seconds)
        others = [result for result in written.results if not isinstance(result, Sent)]
        self._metrics.ended({"sent": len(written.results) - len(others)})
        self._metrics.ended(Counter(result.end.value for result in others if isinstance(result, Ended)))
        self._metrics.retried(Counter(result.why.failure for result in others if isinstance(result, Retry)))
        if written.matched < len(written.results) and not written.repeated:
            self._metrics.stale_acks(len(written.results) - written.matched)
            log.warning("results came after their lease", results=len(written.results), matched=written.matched)

    def _is_lanes(self, job: Job, reply: Reply | None) -> bool:
        """Whether a refusal is about the sender. One recipient may be refused for reasons of its own, or greylisted."""
        if reply is None or reply.stage is not Stage.RCPT:
            return True
        if GREYLISTED.search(reply.text):
            return False
        lane, recipient = job.lane, job.row["to_email"]
        in_a_row, last = self._refusals.get(lane, (0, ""))
        self._refusals[lane] = (in_a_row + 1, recipient)
        if self._pacing.is_lowered(lane) and recipient != last:  # it is known that the relay counts
            return True
        return in_a_row + 1 >= RECIPIENTS_IN_A_ROW

    def _note_sent(self, job: Job, began: float) -> None:
        if self._metrics.enabled:
            now = time.monotonic()
            self._durations.append(now - began)
            self._waits.append(job.waited + now - job.claimed)

    def _rest(self, lane: Lane, seconds: float, reason: str) -> None:
        self._pacing.rest(lane, seconds, reason)
        self.release(self._buffer.take_out(lambda job: job.lane == lane))
