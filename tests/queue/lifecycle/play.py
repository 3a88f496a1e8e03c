"""Each step of the play: done through the program's rooms, done to the model, compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import asyncpg

from mailworkers.daemon.maintenance import METRICS_DAYS, House, Maintenance
from mailworkers.daemon.outcomes import result_of
from mailworkers.queue import change
from mailworkers.queue.leases import Rescued
from mailworkers.queue.sightings import SUSPICION_SECONDS
from mailworkers.queue.states import Job, Result, Sent, Snooze
from mailworkers.replies import Accepted, Broken, Deferred, FailureClass, Lost, Outcome, Rejected, Reply, Throttled
from mailworkers.replies import Stage as Moment
from tests.queue.lifecycle.model import SENDER_DOMAIN, Model, ModelJob, message_id_of
from tests.queue.lifecycle.process import JOB_DEADLINE_SECONDS, LEASE_SECONDS, Held, Process
from tests.queue.lifecycle.stage import Stage
from tests.support import jobs as rows

RETRY_SCHEDULE = (20.0, 200.0)
MONTHS_KEPT = 2

OK = Reply(Moment.FINAL, 250, "2.0.0", "taken")
TAKEN = "taken, and the answer lost"
OUTCOMES: dict[str, Outcome] = {
    "taken": Accepted(OK),
    TAKEN: Lost("no answer"),
    "not taken, and the answer lost": Lost("no answer"),
    "refused for now": Deferred(FailureClass.PROVIDER, "later"),
    "refused for ever": Rejected(FailureClass.DATA, "no such user"),
    "too fast": Throttled("slower", retry_after=30.0),
    "cut": Broken(Moment.DATA, "cut"),
    "closing": Broken(Moment.MAIL, "closing", closing=True),
}


class Play:
    """The stage, the daemons on it, the model, and a diary of what the outside world saw."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.processes: list[Process] = []
        self.delivered: Counter[int] = Counter()  # mails that a relay took, by job
        self.granted: dict[int, list[int]] = {}  # the lease numbers that each job went out under
        self.granted_at: dict[int, float] = {}  # by the monotonic clock, for the last of them
        self.settled: set[int] = set()  # a person said that they were sent
        self.insisted: Counter[int] = Counter()  # times that a person had a perhaps sent mail tried again
        self.in_doubt: set[int] = set()  # at-most-once mails that were begun, and nobody has recorded how that ended
        self.keys_used: dict[tuple[str, str], list[int]] = {}
        stage.run(stage.clear())
        self.model = Model(stage.clock.now)

    # ------------------------------------------------------------ applications and people

    def insert(
        self, workspace: str, priority: int, later: float, max_retries: int, at_most_once: bool, key: str | None
    ) -> None:
        due = self.model.now + timedelta(seconds=later)
        columns: dict[str, Any] = {
            "workspace_id": workspace, "priority": priority, "scheduled_at": due, "max_retries": max_retries,
            "delivery": "at_most_once" if at_most_once else "at_least_once", "idempotency_key": key,
        }  # fmt: skip
        try:
            (job_id,) = self.stage.run(rows.insert(self.stage.app, **columns))
        except asyncpg.UniqueViolationError:
            assert key is not None
            assert (workspace, key) in self.model.keys
            return
        assert key is None or (workspace, key) not in self.model.keys
        token = self.stage.run(self.stage.live())[job_id][8]
        job = ModelJob(job_id, workspace, priority, due, self.model.now, max_retries, at_most_once, token)
        self.model.inserted(job, key)
        if key is not None:
            self.keys_used.setdefault((workspace, key), []).append(job_id)

    def person(self, job: ModelJob, wish: str) -> None:
        """What a person may do about a job."""
        was, gateway = job.status, self.stage.database.claims
        match wish:
            case "cancel":
                done, expected = self.stage.run(change.cancel(gateway, job.id)), self.model.cancel(job)
            case "retry" | "retry all the same":
                insists = wish != "retry"
                done = self.stage.run(change.retry(gateway, job.id, even_if_perhaps_sent=insists))
                expected = self.model.retry(job, even_if_perhaps_sent=insists)
            case _:
                sent = wish == "it was sent"
                done = self.stage.run(change.settle(gateway, job.id, sent=sent))
                expected = self.model.settle(job, sent=sent)
                if expected:
                    said = self._told(job)
                    assert said.startswith(change.SETTLED)
                    assert said.endswith(job.reply or "")
                    job.reply = said
        assert isinstance(done, change.Changed) == expected, done
        if was == "unknown" and job.status == "sent":
            self.settled.add(job.id)
        if was == "unknown" and job.live:
            self.insisted[job.id] += 1
            self.in_doubt.discard(job.id)

    def _told(self, job: ModelJob) -> str:
        return next(str(row[4]) for row in self.stage.run(self.stage.shown()) if row[0] == job.id)

    # ------------------------------------------------------------ daemons begin and end

    def start(self, *, with_session: bool) -> Process:
        """Another process."""
        process = self.stage.run(self._made())
        self.processes.append(process)
        self.begin_lease(process, with_session=with_session)
        return process

    def stands(self, process: Process, how: str) -> None:
        """It renews; it is killed; it loses its session without noticing for a while; it ends its lease, as at a stop."""
        match how:
            case "renew":
                self.renew(process)
            case "kill":
                self._end_session(process)
                self.stage.run(process.close())
                self.processes.remove(process)
            case "lose session":
                self._end_session(process)
            case _:
                self.stage.run(process.leases.end_own(process.daemon_id, "stopped"))
                self.model.end(process.daemon_id)

    async def _made(self) -> Process:
        return Process(self.stage.database, self.stage.clock.monotonic)

    def attempt(self, process: Process, outcomes: Sequence[str | None], *, mark_lost: bool = False) -> None:
        for held, outcome in zip(process.held.copy(), outcomes, strict=False):
            if (held.begun or self._begin(process, held, mark_lost=mark_lost)) and outcome is not None:
                self._finish(process, held, outcome)

    def time_passes(self, seconds: float) -> None:
        self.stage.run(self.stage.clock.passes(seconds))
        self.model.now = self.stage.clock.now

    def renew(self, process: Process) -> None:
        renewed = self.stage.run(process.leases.renew(process.daemon_id, []))
        assert renewed == self.model.renew(process.daemon_id, self.stage.clock.monotonic())

    def _end_session(self, process: Process) -> None:
        if process.presence is not None:
            self.stage.run(process.end_session())
            self.stage.run(self.stage.session_is_gone(process.daemon_id))
            if process.daemon_id in self.model.daemons:
                self.model.daemons[process.daemon_id].lock_freed = self.stage.clock.monotonic()

    def begin_lease(self, process: Process, *, with_session: bool) -> None:
        self._end_session(process)
        newest = max(self.model.daemons, default=0)
        presence = self.stage.run(self.stage.session()) if with_session else None
        daemon_id, before, adopted = self.stage.run(process.begin_lease(presence))
        assert daemon_id > newest
        self.model.registered(daemon_id, self.stage.clock.monotonic())
        assert adopted == (self.model.adopt(daemon_id, before, process.job_ids()) if before else 0)

    def claim(self, process: Process, jobs: int, *, answer_lost: bool = False) -> None:
        wishes = self.stage.run(process.plan(jobs))
        claimable = self.model.claimable()
        claimed = self.stage.run(process.claim(wishes, answer_lost=answer_lost))
        picked = self.model.claim(wishes, process.daemon_id)
        if claimed is not None:
            assert sorted(job.id for job in claimed) == sorted(job.id for job in picked)
            self._check_claimed(claimed)
        if not picked:
            return
        urgent = claimable[: len(picked)]
        assert [job.priority for job in urgent] == sorted(job.priority for job in picked), "less urgent mail went first"
        lease = self.stage.run(self.stage.live())[picked[0].id][3]
        newest = max((numbers[-1] for numbers in self.granted.values()), default=0)
        assert lease is not None, "the claim was answered and is not there"
        assert lease > newest, "lease numbers only grow"
        for job in picked:
            assert job.id not in self.in_doubt, "claimed again while nobody knows how the marked attempt ended"
            self.granted.setdefault(job.id, []).append(lease)
            self.granted_at[job.id] = self.stage.clock.monotonic()
        self.model.claimed(picked, process.daemon_id, lease, JOB_DEADLINE_SECONDS)

    def _check_claimed(self, claimed: Sequence[Job]) -> None:
        for job in claimed:
            known = self.model.jobs[job.id]
            assert (job.attempts, job.max_retries, job.at_most_once, job.row["message_token"]) == (
                known.attempts, known.max_retries, known.at_most_once, known.token,
            )  # fmt: skip

    def _begin(self, process: Process, held: Held, *, mark_lost: bool = False) -> bool:
        if held.job.at_most_once:
            marked = self.stage.run(process.mark(held.job, answer_lost=mark_lost))
            matched = self.model.mark(held.job.id, held.job.lease)
            assert marked == (matched and not mark_lost)
            if not marked:
                process.held.remove(held)
                process.unwritten.append(Snooze(held.job, 0.0))
                return False
            self.in_doubt.add(held.job.id)
        held.begun = True
        return True

    def _finish(self, process: Process, held: Held, outcome: str) -> None:
        process.held.remove(held)
        self.delivered[held.job.id] += outcome in ("taken", TAKEN)
        message_id = message_id_of(held.job.row["message_token"])
        process.unwritten.append(result_of(held.job, OUTCOMES[outcome], message_id, RETRY_SCHEDULE))

    def group_commit(self, process: Process, results: Sequence[Result], answers_lost: int) -> None:
        if not results:
            return
        matched = self.stage.run(process.write(results, answers_lost=answers_lost))
        # As the writer does it: what was sent first, and each in the order of ids.
        ordered = sorted(results, key=lambda result: (not isinstance(result, Sent), result.job.id))
        held = [result for result in ordered if self.model.write(result, process.daemon_id)]
        assert answers_lost or matched == len(held)
        self.in_doubt.difference_update(result.job.id for result in held)

    def write(self, process: Process, most: int, answers_lost: int) -> None:
        results, process.unwritten = process.unwritten[:most], process.unwritten[most:]
        self.group_commit(process, results, answers_lost)
        process.past += results

    def recorded(self) -> tuple[object, ...]:
        stage = self.stage
        return (
            stage.run(stage.live()), stage.run(stage.ended()), stage.run(stage.failures()), stage.run(stage.figures()),
        )  # fmt: skip

    def disown(self, process: Process) -> None:
        """It lets go what it holds without knowing of it."""
        disowned = self.stage.run(process.leases.disown(process.daemon_id, process.job_ids()))
        assert disowned == self.model.disown(process.daemon_id, process.job_ids())

    def clock_steps(self, seconds: float) -> None:
        """The database's clock is set, and no time passes."""
        self.stage.run(self.stage.clock.steps(seconds))
        self.model.now = self.stage.clock.now

    def close(self) -> None:
        """All processes are gone."""
        while self.processes:
            self.stage.run(self.processes.pop().close())

    def keep_house(self) -> None:
        nobody = cast("Any", None)
        house = House(
            database=self.stage.database, heartbeat=nobody, leases=nobody, claims=nobody, book=nobody, vitals=nobody,
            metrics=nobody, trouble=nobody, job_deadline=JOB_DEADLINE_SECONDS, retention_months=lambda: MONTHS_KEPT, retry_schedule=lambda: RETRY_SCHEDULE,
            sender_domain=lambda: SENDER_DOMAIN,
        )  # fmt: skip
        self.stage.run(Maintenance(house).keep_house())
        self.model.keep_house(MONTHS_KEPT, METRICS_DAYS)

    def sweep(self, process: Process) -> None:
        monotonic = self.stage.clock.monotonic()
        for daemon_id in self.stage.run(process.leases.end_dead(process.answered)):
            daemon = self.model.daemons[daemon_id]
            assert daemon_id not in process.answered, "a daemon took itself for dead"
            assert self.model.living(daemon_id), "a lease ended twice"
            gone = daemon.lock_freed is not None and monotonic - daemon.lock_freed >= SUSPICION_SECONDS
            assert gone or monotonic - daemon.renewed >= LEASE_SECONDS, "a lease ended too early"
            self.model.end(daemon_id)
        assert self.stage.run(process.leases.rescue(SENDER_DOMAIN)) == Rescued(*self.model.rescue())
        self._expire(process)

    def _expire(self, process: Process) -> None:
        """Which jobs are seen as overdue hangs on when this process looked: that they are is checked, not foretold."""
        expired = self.stage.run(process.leases.expire(RETRY_SCHEDULE[0], JOB_DEADLINE_SECONDS, SENDER_DOMAIN))
        live = self.stage.run(self.stage.live())
        given_up = [
            job
            for job in self.model.jobs.values()
            if job.lease and (job.id not in live or live[job.id][3] != job.lease)
        ]
        for job in given_up:
            assert self.model.living(job.daemon_id)
            assert job.deadline is not None
            assert job.deadline < self.model.now, "given up before its deadline"
            assert self.stage.clock.monotonic() - self.granted_at[job.id] >= JOB_DEADLINE_SECONDS, (
                "the clock was set, no more"
            )
        assert expired == Rescued(*self.model.expire(given_up, RETRY_SCHEDULE[0]))
