"""The life of jobs once more, in plain Python: what `mailworkers/queue/states.py` draws, without a database.

Each method is one statement of the project, run alone. The machine runs both and compares all that they left behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from mailworkers.queue.claim import Wish
from mailworkers.queue.leases import MOST_RESCUES
from mailworkers.queue.states import Ended, Result, Retry, Sent, Snooze

OVERDUE = "the attempt outlived its deadline"
PERHAPS = "its daemon died after the mail had been begun: it may have been sent"
DEADLY = "its daemon died each time that it was tried"
SENDER_DOMAIN = "example.org"
READY = ("waiting", "retrying")


@dataclass(slots=True)
class ModelJob:
    """One committed insert. `status` is that of the view, live or ended; None once its history is dropped."""

    id: int
    workspace: str
    priority: int
    scheduled_at: datetime
    created_at: datetime
    max_retries: int
    at_most_once: bool
    token: UUID
    status: str | None = "waiting"
    attempts: int = 0
    rescues: int = 0
    lease: int | None = None
    daemon_id: int | None = None
    deadline: datetime | None = None
    marked_at: datetime | None = None
    reply: str | None = None
    put_off_since: datetime | None = None
    finished_at: datetime | None = None
    message_id: str | None = None
    failures: list[datetime] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.status in ("waiting", "sending", "retrying", "paused")

    def release(self) -> None:
        self.lease = self.daemon_id = self.deadline = self.marked_at = None
        self.status = "retrying" if self.attempts else "waiting"

    def end(self, status: str, now: datetime, reply: str | None, message_id: str | None = None) -> None:
        self.lease = self.daemon_id = self.deadline = self.marked_at = None
        self.status, self.finished_at, self.reply, self.message_id = status, now, reply, message_id


@dataclass(slots=True)
class ModelDaemon:
    """One lease. `renewed` and `lock_freed` are monotonic seconds: the latter since when its session is gone, None while it is
    there and where it never had one to be judged by."""

    id: int
    renewed: float
    lock_freed: float | None = None
    ended_at: datetime | None = None


@dataclass(slots=True)
class Model:
    """All that the database holds. `now` is set by the machine."""

    now: datetime
    jobs: dict[int, ModelJob] = field(default_factory=dict)
    daemons: dict[int, ModelDaemon] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)
    figures: dict[tuple[datetime, int], Counter[str]] = field(default_factory=dict)

    # ------------------------------------------------------------ applications and people

    def inserted(self, job: ModelJob, key: str | None) -> None:
        self.jobs[job.id] = job
        if key is not None:
            self.keys[job.workspace, key] = (job.id, self.now)

    def cancel(self, job: ModelJob) -> bool:
        if job.status not in (*READY, "paused"):
            return False
        job.end("cancelled", self.now, "cancelled by hand")
        return True

    def retry(self, job: ModelJob, *, even_if_perhaps_sent: bool) -> bool:
        if job.status == "retrying":
            job.scheduled_at = self.now
            return True
        if job.status in ("failed", "abandoned", "cancelled") or (job.status == "unknown" and even_if_perhaps_sent):
            job.status, job.attempts, job.rescues = "waiting", 0, 0
            job.scheduled_at, job.finished_at, job.message_id, job.put_off_since = self.now, None, None, None
            return True
        return False

    def settle(self, job: ModelJob, *, sent: bool) -> bool:
        """A person knows how it ended."""
        if job.status != "unknown":
            return False
        if sent:
            job.status = "sent"
        else:
            self.retry(job, even_if_perhaps_sent=True)
        return True

    # ------------------------------------------------------------ a daemon and its jobs

    def claimable(self) -> list[ModelJob]:
        """In the order in which one lane gives them."""
        due = [job for job in self.jobs.values() if job.status in READY and job.scheduled_at <= self.now]
        return sorted(due, key=lambda job: (job.priority, job.scheduled_at, job.id))

    def claim(self, wishes: Sequence[Wish], daemon_id: int) -> list[ModelJob]:
        daemon = self.daemons.get(daemon_id)
        if daemon is None or daemon.ended_at is not None:
            return []
        picked: list[ModelJob] = []
        for wish in wishes:
            bound = (wish.from_at, wish.from_id)
            lane = [
                job for job in self.claimable()
                if (job.workspace, job.priority) == (wish.lane.workspace_id, wish.priority)
                and (job.scheduled_at, job.id) >= bound
            ]  # fmt: skip
            picked += lane[: wish.take]
        return picked

    def claimed(self, picked: Sequence[ModelJob], daemon_id: int, lease: int, deadline_seconds: float) -> None:
        for job in picked:
            job.status, job.lease, job.daemon_id = "sending", lease, daemon_id
            job.deadline = self.now + timedelta(seconds=deadline_seconds)

    def mark(self, job_id: int, lease: int) -> bool:
        job = self.jobs[job_id]
        if job.lease != lease:
            return False
        job.marked_at = self.now
        return True

    def write(self, result: Result, daemon_id: int) -> bool:
        """One result, under its lease; whether that still held."""
        job = self.jobs[result.job.id]
        if job.lease != result.job.lease:
            return False
        match result:
            case Sent(_, message_id, reply):
                job.attempts += 1
                job.end("sent", self.now, reply.text, message_id)
                self._count("sent", daemon_id)
            case Ended(_, end, why, message_id):
                job.attempts += 1
                job.end(end.value, self.now, why.text, message_id)
                job.failures.append(self.now)
                self._count(end.value, daemon_id)
            case Retry(_, delay, why):
                job.attempts += 1
                job.release()
                job.scheduled_at = self.now + timedelta(seconds=delay)
                job.reply, job.put_off_since = why.text, None
                job.failures.append(self.now)
                self._count("retried", daemon_id)
            case Snooze(_, delay, text, put_off):
                job.release()
                if put_off:
                    job.put_off_since = job.put_off_since or self.now
                if delay > 0:
                    job.scheduled_at = self.now + timedelta(seconds=delay)
                job.reply = text or job.reply
                if text:
                    self._count("snoozed", daemon_id)
        return True

    def _count(self, what: str, daemon_id: int) -> None:
        minute = self.now.replace(second=0, microsecond=0)
        self.figures.setdefault((minute, daemon_id), Counter())[what] += 1

    # ------------------------------------------------------------ leases

    def registered(self, daemon_id: int, monotonic: float) -> None:
        self.daemons[daemon_id] = ModelDaemon(daemon_id, monotonic)

    def renew(self, daemon_id: int, monotonic: float) -> bool:
        daemon = self.daemons.get(daemon_id)
        if daemon is None or daemon.ended_at is not None:
            return False
        daemon.renewed = monotonic
        return True

    def end(self, daemon_id: int) -> None:
        daemon = self.daemons.get(daemon_id)
        if daemon is not None and daemon.ended_at is None:
            daemon.ended_at = self.now

    def adopt(self, daemon_id: int, before: Collection[int], job_ids: Collection[int]) -> int:
        held = [
            job for job in self.jobs.values()
            if job.id in job_ids and job.status == "sending" and job.daemon_id in before
        ]  # fmt: skip
        for job in held:
            job.daemon_id = daemon_id
        for old in before:
            self.end(old)
        return len(held)

    def disown(self, daemon_id: int, known: Collection[int]) -> int:
        unknown = [job for job in self._held_by(daemon_id) if job.id not in known and job.marked_at is None]
        for job in unknown:
            job.release()
        return len(unknown)

    def living(self, daemon_id: int | None) -> bool:
        daemon = self.daemons.get(daemon_id or 0)
        return daemon is not None and daemon.ended_at is None

    def rescue(self) -> tuple[int, int]:
        again = parked = 0
        for job in self.jobs.values():
            if job.status != "sending" or self.living(job.daemon_id):
                continue
            if job.at_most_once and job.marked_at is not None:
                job.attempts += 1
                self._park(job, "unknown", PERHAPS)
            elif job.rescues + 1 >= MOST_RESCUES:
                job.attempts += 1
                self._park(job, "abandoned", DEADLY)
            else:
                job.rescues += 1
                job.release()
            again, parked = again + job.live, parked + (not job.live)
        return again, parked

    def expire(self, jobs: Sequence[ModelJob], retry_seconds: float) -> tuple[int, int]:
        again = parked = 0
        for job in jobs:
            job.attempts += 1
            job.failures.append(self.now)
            if job.at_most_once and job.marked_at is not None:
                self._park(job, "unknown", OVERDUE)
            elif job.attempts > job.max_retries:
                self._park(job, "abandoned", OVERDUE)
            else:
                self._count("retried", job.daemon_id or 0)
                job.release()
                job.reply, job.scheduled_at = OVERDUE, self.now + timedelta(seconds=retry_seconds)
                job.put_off_since = None
            again, parked = again + job.live, parked + (not job.live)
        return again, parked

    def _park(self, job: ModelJob, status: str, why: str) -> None:
        """End it from outside: it counts for the daemon that held it, and the record tells its Message-ID."""
        self._count(status, job.daemon_id or 0)
        job.end(status, self.now, why, message_id_of(job.token))

    def _held_by(self, daemon_id: int) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.status == "sending" and job.daemon_id == daemon_id]

    # ------------------------------------------------------------ housekeeping

    def keep_house(self, months: int, metrics_days: int) -> None:
        oldest = _months_before(self.now, months)
        self.keys = {
            key: (job_id, since)
            for key, (job_id, at) in self.keys.items()
            if (since := at if at >= oldest else self._needed_since(self.jobs[job_id], oldest)) is not None
        }
        since = self.now - timedelta(days=metrics_days)
        self.figures = {key: counts for key, counts in self.figures.items() if key[0] >= since}
        holders = {job.daemon_id for job in self.jobs.values()}
        week_ago = self.now - timedelta(days=7)
        for daemon in list(self.daemons.values()):
            if daemon.ended_at is not None and daemon.ended_at < week_ago and daemon.id not in holders:
                del self.daemons[daemon.id]
        for job in self.jobs.values():
            job.failures = [at for at in job.failures if at >= oldest]
            if job.finished_at is not None and job.finished_at < oldest:
                job.status = None

    def _needed_since(self, job: ModelJob, oldest: datetime) -> datetime | None:
        """From when an old key's age counts anew, None where it is not needed any more."""
        if job.live:
            return self.now
        return job.finished_at if job.finished_at is not None and job.finished_at >= oldest else None


def _months_before(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def message_id_of(token: UUID) -> str:
    """As the composer makes it."""
    return f"{token.hex}@{SENDER_DOMAIN}"
