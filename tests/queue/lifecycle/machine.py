"""What may happen, one rule each, in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailworkers.queue.states import Snooze
from tests.queue.lifecycle.model import ModelJob
from tests.queue.lifecycle.play import OUTCOMES, Play
from tests.queue.lifecycle.process import LEASE_SECONDS, Process
from tests.queue.lifecycle.promises import check
from tests.queue.lifecycle.stage import Stage

FEW_PROCESSES, MOST_PROCESSES = 2, 4
VERBS = (
    "work", "work", "claim", "claim", "attempt", "attempt", "attempt", "write", "write", "write again", "release",
    "wake up", "wake up", "disown",
)  # fmt: skip
STANDING = ("renew", "kill", "lose session", "end lease", "begin a lease", "begin a lease")
DRAINING_ROUNDS = 60  # each takes back or sends all that it may, so that far fewer are enough
LOOKS = 3
DAY = 86_400.0

index = st.integers(0, 7)
outcomes = st.sampled_from([None, None, None, None, "taken", "taken", *OUTCOMES])
losses = st.sampled_from([0, 0, 0, 1, 2])
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
        jobs=st.lists(new_jobs, min_size=4, max_size=8),
        sessions=st.lists(st.booleans(), min_size=2, max_size=3),
        outcomes=st.lists(outcomes, min_size=3, max_size=3),
    )
    def begin(self, jobs: list[dict[str, Any]], sessions: list[bool], outcomes: list[str | None]) -> None:
        """Some jobs, and daemons in the middle of their work."""
        for job in jobs:
            self.play.insert(**job)
        for with_session in sessions:
            process = self.play.start(with_session=with_session)
            self.play.claim(process, len(outcomes))
            self.play.attempt(process, outcomes)

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

    # ------------------------------------------------------------ daemons
    # Few rules that each do many things: hypothesis leaves out whole rules in each run, and a run is only worth much where
    # jobs go round.

    @precondition(lambda self: self.play.processes)
    @rule(which=index, verb=st.sampled_from(VERBS), outcomes=st.lists(outcomes, min_size=1, max_size=5), lost=losses)
    def daemon(self, which: int, verb: str, outcomes: list[str | None], lost: int) -> None:
        """`outcomes` of the mails that it begins or has on their way; None leaves them there. `lost` is how many answers are."""
        play, process = self.play, self._process_for(verb, which)
        match verb:
            case "work":
                play.claim(process, len(outcomes))
                play.attempt(process, outcomes)
                play.write(process, len(process.unwritten), 0)
            case "claim":
                play.claim(process, 2 * len(outcomes), answer_lost=lost > 0)
            case "attempt":
                play.attempt(process, outcomes, mark_lost=lost > 0)
            case "write":
                play.write(process, len(outcomes), lost)
            case "write again":
                self._write_again(process, len(outcomes))
            case "release":
                self._release(process)
            case "wake up":
                play.attempt(process, [outcome or "taken" for outcome in outcomes])
                play.write(process, len(process.unwritten), lost)
            case _:
                play.disown(process)

    @rule(which=index, how=st.sampled_from(STANDING), with_session=st.booleans())
    def standing(self, which: int, how: str, with_session: bool) -> None:
        there_are = len(self.play.processes)
        if there_are < FEW_PROCESSES or (how == "begin a lease" and which % 2 and there_are < MOST_PROCESSES):
            self.play.start(with_session=with_session)
        elif how == "begin a lease":
            self.play.begin_lease(self._process(which), with_session=with_session)
        else:
            self.play.stands(self._process(which), how)

    @precondition(lambda self: self.play.processes)
    @rule(
        which=index,
        seconds=st.sampled_from([2.0, 10.0, 10.0, 61.0, 61.0]),
        renewing=st.sampled_from(["all", "itself", "itself", "none"]),
    )
    def watch(self, which: int, seconds: float, renewing: str) -> None:
        """One looks again and again, as a living daemon does, until it has seen enough of a lease, a lock or a deadline."""
        process = self._process(which)
        for _ in range(LOOKS):
            self.play.sweep(process)
            self.play.time_passes(seconds)
            for one in self.play.processes:
                if renewing == "all" or (renewing == "itself" and one is process):
                    self.play.renew(one)
        self.play.sweep(process)

    def _write_again(self, process: Process, most: int) -> None:
        """Results that were written already, or came too late, once more."""
        before = self.play.recorded()
        self.play.group_commit(process, process.past[-most:], 0)
        assert self.play.recorded() == before, "a stale result changed something"

    def _release(self, process: Process) -> None:
        """What it has not begun."""
        for held in [held for held in process.held if not held.begun]:
            process.held.remove(held)
            process.unwritten.append(Snooze(held.job, 0.0))

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

    def _process_for(self, verb: str, which: int) -> Process:
        """One for which the verb makes sense, where there is one; else any."""
        play = self.play
        senses: dict[str, Callable[[Process], object]] = {
            "attempt": lambda one: one.held,
            "release": lambda one: one.held,
            "write": lambda one: one.unwritten,
            "write again": lambda one: one.past,
            "wake up": lambda one: (one.held or one.unwritten) and not play.model.living(one.daemon_id),
        }
        fitting = [one for one in play.processes if verb not in senses or senses[verb](one)] or play.processes
        return fitting[which % len(fitting)]

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
