"""What may happen, one rule each, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailworkers.queue.states import Snooze
from tests.queue.lifecycle.model import ModelJob
from tests.queue.lifecycle.play import OUTCOMES, Play
from tests.queue.lifecycle.process import LEASE_SECONDS, Process
from tests.queue.lifecycle.promises import check
from tests.queue.lifecycle.stage import Stage

MOST_PROCESSES = 4
DRAINING_ROUNDS = 60  # each takes back or sends all that it may, so that far fewer are enough
DAY = 86_400.0

index = st.integers(0, 7)
outcomes = st.sampled_from([None, *OUTCOMES])
new_jobs = st.fixed_dictionaries(
    {
        "workspace": st.sampled_from(["a", "b"]),
        "priority": st.sampled_from([0, 0, -5, 5]),
        "later": st.sampled_from([0.0, 0.0, 0.0, 40.0, 4000.0]),
        "max_retries": st.integers(0, 2),
        "at_most_once": st.booleans(),
        "key": st.sampled_from([None, None, "k", "l"]),
    }
)


class Lives(RuleBasedStateMachine):
    """Applications, persons, daemons and clocks. Numbers choose among what there is, so that a shorter play stays one."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.play = Play(stage)

    @initialize(
        jobs=st.lists(new_jobs, min_size=3, max_size=8), sessions=st.lists(st.booleans(), min_size=1, max_size=2)
    )
    def begin(self, jobs: list[dict[str, Any]], sessions: list[bool]) -> None:
        for with_session in sessions:
            self.play.start(with_session=with_session)
        for job in jobs:
            self.play.insert(**job)

    # ------------------------------------------------------------ applications and people

    @rule(jobs=st.lists(new_jobs, min_size=1, max_size=3))
    def insert(self, jobs: list[dict[str, Any]]) -> None:
        for job in jobs:
            self.play.insert(**job)

    @precondition(lambda self: self.play.model.jobs)
    @rule(
        which=index, wish=st.sampled_from(["cancel", "retry", "retry all the same", "it was sent", "it was not sent"])
    )
    def person(self, which: int, wish: str) -> None:
        self.play.person(self._job_for(wish, which), wish)

    # ------------------------------------------------------------ daemons begin and end

    @precondition(lambda self: len(self.play.processes) < MOST_PROCESSES)
    @rule(with_session=st.booleans())
    def start(self, with_session: bool) -> None:
        self.play.start(with_session=with_session)

    @precondition(lambda self: self.play.processes)
    @rule(which=index, with_session=st.booleans())
    def come_back(self, which: int, with_session: bool) -> None:
        """The session was lost, or the lease: a new one, under which it goes on with what it had begun."""
        self.play.begin_lease(self._process(which), with_session=with_session)

    @precondition(lambda self: self.play.processes)
    @rule(which=index, how=st.sampled_from(["renew", "kill", "lose session", "end lease"]))
    def standing(self, which: int, how: str) -> None:
        self.play.stands(self._process(which), how)

    # ------------------------------------------------------------ daemons and jobs

    @precondition(lambda self: self.play.processes)
    @rule(which=index, jobs=st.sampled_from([1, 2, 3, 5, 20]), answer_lost=st.sampled_from([False, False, False, True]))
    def claim(self, which: int, jobs: int, answer_lost: bool) -> None:
        self.play.claim(self._process(which), jobs, answer_lost=answer_lost)

    @precondition(lambda self: self.play.processes)
    @rule(which=index, outcomes=st.lists(outcomes, min_size=1, max_size=5), write=st.booleans())
    def work(self, which: int, outcomes: list[str | None], write: bool) -> None:
        """A round of a daemon that is well."""
        process = self._process(which)
        self.play.claim(process, len(outcomes))
        self.play.attempt(process, outcomes)
        if write:
            self.play.write(process, len(process.unwritten), 0)

    @precondition(lambda self: any(process.held for process in self.play.processes))
    @rule(
        which=index,
        outcomes=st.lists(outcomes, min_size=1, max_size=3),
        mark_lost=st.sampled_from([False, False, True]),
    )
    def attempt(self, which: int, outcomes: list[str | None], mark_lost: bool) -> None:
        """Begin mails where they are not begun; see them to their outcomes, or leave them on their way."""
        holders = [process for process in self.play.processes if process.held]
        self.play.attempt(holders[which % len(holders)], outcomes, mark_lost=mark_lost)

    @precondition(lambda self: any(process.held for process in self.play.processes))
    @rule(which=index)
    def release(self, which: int) -> None:
        pairs = [(process, held) for process in self.play.processes for held in process.held]
        process, held = pairs[which % len(pairs)]
        if not held.begun:
            process.held.remove(held)
            process.unwritten.append(Snooze(held.job, 0.0))

    @precondition(lambda self: any(process.unwritten for process in self.play.processes))
    @rule(which=index, most=st.integers(1, 5), answers_lost=st.sampled_from([0, 0, 1, 2]))
    def write(self, which: int, most: int, answers_lost: int) -> None:
        writers = [process for process in self.play.processes if process.unwritten]
        self.play.write(writers[which % len(writers)], most, answers_lost)

    @precondition(lambda self: any(process.past for process in self.play.processes))
    @rule(which=index, most=st.integers(1, 3))
    def write_again(self, which: int, most: int) -> None:
        """Results that were written already, or came too late, once more."""
        writers = [process for process in self.play.processes if process.past]
        process = writers[which % len(writers)]
        before = self.play.recorded()
        self.play.group_commit(process, process.past[-most:], 0)
        assert self.play.recorded() == before, "a stale result changed something"

    @precondition(lambda self: self.play.processes)
    @rule(which=index)
    def disown(self, which: int) -> None:
        self.play.disown(self._process(which))

    @precondition(lambda self: self.play.processes)
    @rule(
        which=index,
        seconds=st.sampled_from([2.0, 10.0, 15.0, 16.0, 30.0]),
        looks=st.integers(0, 3),
        renewing=st.booleans(),
    )
    def watch(self, which: int, seconds: float, looks: int, renewing: bool) -> None:
        """One looks again and again, as a living daemon does; all renew meanwhile, or do not."""
        process = self._process(which)
        for _ in range(looks):
            self.play.sweep(process)
            self.play.time_passes(seconds)
            for one in self.play.processes if renewing else ():
                self.play.renew(one)
        self.play.sweep(process)

    # ------------------------------------------------------------ time

    @rule(seconds=st.sampled_from([0.5, 2.5, 20.0, 31.0, 61.0, 250.0, 5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.play.time_passes(seconds)

    @rule(
        seconds=st.sampled_from([-40 * DAY, -3600.0, -60.0, 60.0, 3600.0, 8 * DAY, 40 * DAY]), keep_house=st.booleans()
    )
    def clock_steps(self, seconds: float, keep_house: bool) -> None:
        self.play.clock_steps(seconds)
        if keep_house:
            self.play.keep_house()

    # ------------------------------------------------------------ what must hold

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        check(self.play)

    def teardown(self) -> None:
        """Whatever happened before: once all daemons are dead, a new one brings every job to its end."""
        try:
            while self.play.processes:
                self.play.stands(self.play.processes[0], "kill")
            self._drain(self.play.start(with_session=True))
            check(self.play)
        finally:
            self.play.close()

    def _drain(self, process: Process) -> None:
        play = self.play
        for _ in range(DRAINING_ROUNDS):
            if not self._living():
                return
            play.renew(process)
            play.sweep(process)
            play.claim(process, 100)
            play.attempt(process, ["taken"] * len(process.held))
            play.write(process, len(process.unwritten), 0)
            play.time_passes(LEASE_SECONDS / 3)
            latest = max((job.scheduled_at for job in self._living()), default=play.model.now)
            if latest > play.model.now and not any(job.status == "sending" for job in self._living()):
                play.time_passes((latest - play.model.now).total_seconds())
        raise AssertionError(f"stuck: {self._living()}")

    def _living(self) -> Sequence[ModelJob]:
        return [job for job in self.play.model.jobs.values() if job.live]

    def _process(self, which: int) -> Process:
        return self.play.processes[which % len(self.play.processes)]

    def _job_for(self, wish: str, which: int) -> ModelJob:
        """One for which the wish makes sense, where there is one; now and then any."""
        jobs = list(self.play.model.jobs.values())
        senses = {
            "cancel": ("waiting", "retrying"),
            "retry": ("retrying", "failed", "abandoned", "cancelled"),
        }.get(wish, ("unknown",))
        fitting = [job for job in jobs if job.status in senses] if which % 4 else []
        return (fitting or jobs)[which % len(fitting or jobs)]
