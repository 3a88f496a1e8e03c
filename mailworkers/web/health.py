"""Is the daemon well? Pure functions from its vitals to checks; nothing here asks anybody anything.

The answer follows draft-inadarei-api-health-check: a status, and for each check its own status, what was observed and
what to do. `fail` means that mail is not going out or might go out twice, `warn` that a person should look.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mailworkers.daemon.redaction import HIDDEN, clean_text
from mailworkers.daemon.vitals import Vitals
from mailworkers.settings import Settings

Status = Literal["pass", "warn", "fail"]

HEARTBEATS_LATE = 2.0  # heartbeat intervals: one was missed, a lease bears two
CLAIM_LATE_SECONDS = 15.0  # many polls, and longer than an ordinary failover or restart of PostgreSQL
CLAIM_POLLS = 5.0  # where polling is set slower than that
CLAIM_LOST_SECONDS = 120.0  # nobody waits so long for a poll: the dispatcher hangs
OLDEST_DUE_SECONDS = 300.0  # a mail that waits five minutes is late for whoever pressed a button
LAG_WARN_SECONDS = 0.25  # twenty-five group commits late: someone blocks the loop
LAG_FAIL_SECONDS = 5.0  # half a heartbeat's interval: leases are in danger
LANES_NAMED = 5  # reasons shown; with a thousand lanes at rest, they are the same ones
DATABASE_URL = re.compile(r"\bpostgres(?:ql)?://\S*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What depends on settings, in seconds."""

    heartbeat_late: float
    lease: float
    claim_late: float
    attempt: float

    @classmethod
    def of(cls, settings: Settings) -> Thresholds:
        """Those that fit these settings."""
        return cls(
            heartbeat_late=settings.heartbeat_seconds * HEARTBEATS_LATE,
            lease=settings.lease_seconds,
            claim_late=max(CLAIM_LATE_SECONDS, settings.poll_seconds * CLAIM_POLLS),
            attempt=settings.job_deadline_seconds,
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    `output` and `action` say what is the matter and what to do, in words that give nothing away; `detail` is what else
    is known, for those who may read it: reasons, names of lanes, what the server said.
    """

    status: Status = "pass"
    output: str = ""
    action: str = ""
    observed: float | str | None = None
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a check looks at: the vitals as they stand, the clock of `time.monotonic()`, and the thresholds."""

    vitals: Vitals
    now: float
    thresholds: Thresholds

    def age(self, since: float | None) -> float | None:
        """Seconds since then, to the millisecond; None for never."""
        return None if since is None else round(max(0.0, self.now - since), 3)


def examine(vitals: Vitals, now: float, thresholds: Thresholds) -> dict[str, Check]:
    """All checks by name. Order is that of importance, so that the first bad one is the likeliest cause."""
    moment = Moment(vitals, now, thresholds)
    checks = {name: check(moment) for name, check in CHECKS.items()}
    return checks | {f"maintenance:{name}": _warning(text) for name, text in vitals.warnings.items()}


def overall(checks: Iterable[Check]) -> Status:
    """The worst of them."""
    found = {check.status for check in checks}
    return "fail" if "fail" in found else "warn" if "warn" in found else "pass"


def unready(checks: dict[str, Check]) -> dict[str, Check]:
    """What keeps the daemon from taking work; empty where it is ready.

    A relay that is down does not: an insert is safe all the same, and another daemon would meet the same relay.
    """
    return {name: checks[name] for name, bearable in READINESS.items() if checks[name].status not in bearable}


def report(status: Status, checks: dict[str, Check], *, detailed: bool) -> dict[str, Any]:
    """The answer's body. Without `detailed` it holds no text that came from outside this file."""
    return {"status": status, "checks": {name: [_shown(check, detailed)] for name, check in checks.items()}}


def phase(moment: Moment) -> Check:
    """Where in its life the daemon is."""
    vitals = moment.vitals
    match vitals.phase:
        case "running":
            return Check(observed="running")
        case "starting":
            return Check("warn", "The daemon is starting.", observed="starting")
        case "draining":
            return Check(
                "warn", "The daemon is ending: mails in flight finish, nothing new begins.", observed="draining"
            )
        case "stopped":
            return Check("fail", "The daemon has ended its work.", "Start it again.", observed="stopped")


def database(moment: Moment) -> Check:
    """Whether PostgreSQL answers."""
    problem = moment.vitals.database_problem
    if problem is None:
        return Check()
    action = "Check that PostgreSQL runs and takes connections; the daemon goes on by itself."
    return Check("fail", "The database does not answer.", action, detail=problem)


def relay(moment: Moment) -> Check:
    """Whether the relay takes mail."""
    vitals = moment.vitals
    if vitals.relay_problem is None:
        return Check(observed=vitals.connected, unit="connections")
    action = "Check the relay's address, its TLS and the credentials with `mailworkers doctor`; mails wait until then."
    return Check("fail", "The relay takes no mail.", action, vitals.connected, "connections", vitals.relay_problem)


def liveness_lock(moment: Moment) -> Check:
    """Whether the session lock, by which others see that this daemon lives, is held."""
    if not moment.vitals.liveness_lost:
        return Check()
    action = "Check the connection to PostgreSQL; the daemon takes the lock again by itself."
    return Check("fail", "The liveness lock is lost: no new mail is started.", action)


def heartbeat(moment: Moment) -> Check:
    """Whether leases are renewed in time."""
    since = moment.vitals.last_heartbeat
    age = moment.age(moment.vitals.started_at if since is None else since)
    assert age is not None
    if age <= moment.thresholds.heartbeat_late:
        return Check(observed=age, unit="s")
    action = "Look at the database and at event_loop: one of them is slow."
    if age <= moment.thresholds.lease:
        return Check("warn", "A heartbeat is late.", action, age, "s")
    return Check("fail", "Leases have ended: another daemon takes over what was claimed.", action, age, "s")


def claims(moment: Moment) -> Check:
    """Whether the dispatcher looks for work; while workers are busy with what it found, it need not."""
    vitals, thresholds = moment.vitals, moment.thresholds
    age = moment.age(vitals.last_claim)
    if age is None:
        return Check("warn", "Nobody has looked for work yet.")
    busy = vitals.buffered > 0 or vitals.in_flight > 0
    if age <= (thresholds.attempt if busy else thresholds.claim_late) or vitals.phase in ("draining", "stopped"):
        return Check(observed=age, unit="s")
    action = "Look at database and results; if both pass, restart the daemon and report it."
    status: Status = "fail" if age > CLAIM_LOST_SECONDS else "warn"
    return Check(status, "Nobody has looked for work for a while.", action, age, "s")


def results(moment: Moment) -> Check:
    """Whether what the relay said is written down."""
    vitals = moment.vitals
    if vitals.writing_stalled:
        action = "Check the database's disk and locks. Nothing new is claimed until results are written."
        return Check("fail", "Results cannot be written.", action, vitals.unwritten, "results")
    if 0 < vitals.max_unwritten <= vitals.unwritten:
        action = "The database is slower than the relay: look at its disk, or raise MAX_UNWRITTEN."
        return Check("warn", "Workers wait for results to be written.", action, vitals.unwritten, "results")
    return Check(observed=vitals.unwritten, unit="results")


def oldest_due(moment: Moment) -> Check:
    """Whether mail goes out when it is due, beside that of lanes that rest or are lowered, which have checks of their own."""
    vitals = moment.vitals
    age = vitals.queue.oldest_due_seconds if vitals.queue else None
    if age is None or age <= OLDEST_DUE_SECONDS:
        return Check(observed=age, unit="s")
    action = "Raise MAX_WORKERS or the rate limits, or start another daemon; see `mailworkers status`."
    return Check("warn", "Mail waits long after it was due.", action, age, "s")


def resting_lanes(moment: Moment) -> Check:
    """Whether every lane may send."""
    lanes = moment.vitals.resting_lanes
    if not lanes:
        return Check(observed=0, unit="lanes")
    action = "Nothing, if it passes: they slow down and go on by themselves. `mailworkers status` names them."
    return Check("warn", "Lanes rest.", action, len(lanes), "lanes", _few(lanes))


def lowered_lanes(moment: Moment) -> Check:
    """Whether the relay takes what is sent. Lanes that are sent to more slowly are the relay's wish, and no fault."""
    lanes = {
        lane: f"{one.rate:.3g} mails/s for {one.lasts:.0f} s: {one.reason}"
        for lane, one in moment.vitals.lowered.items()
    }
    return Check(observed=len(lanes), unit="lanes", detail=_few(lanes))


def load(moment: Moment) -> Check:
    """Whether this daemon holds itself back, since the database or the machine is slow."""
    vitals = moment.vitals
    if vitals.slowed_by_load is None:
        return Check()
    action = "Look at the database's disk, locks and CPU, and at this machine's; the daemon speeds up again by itself."
    rate = None if vitals.load_rate is None else round(vitals.load_rate, 1)
    output = "The daemon slows itself: the database or this machine is far slower than usual."
    return Check("warn", output, action, rate, "mails/s", vitals.slowed_by_load)


def _few(lanes: Mapping[str, str]) -> str:
    named = [f"{lane}: {reason}" for lane, reason in sorted(lanes.items())[:LANES_NAMED]]
    return "; ".join([*named, *([f"and {len(lanes) - LANES_NAMED} more"] if len(lanes) > LANES_NAMED else [])])


def event_loop(moment: Moment) -> Check:
    """Whether the event loop comes to its timers in time."""
    lag = round(moment.vitals.loop_lag, 3)
    if lag < LAG_WARN_SECONDS:
        return Check(observed=lag, unit="s")
    status: Status = "fail" if lag >= LAG_FAIL_SECONDS else "warn"
    return Check(status, "The event loop is late.", "Give the machine more CPU, or lower MAX_WORKERS.", lag, "s")


def uptime(moment: Moment) -> Check:
    """Seconds since the start."""
    return Check(observed=moment.age(moment.vitals.started_at), unit="s")


CHECKS: dict[str, Callable[[Moment], Check]] = {
    check.__name__: check
    for check in (
        *(phase, database, relay, liveness_lock, heartbeat, claims),
        *(results, oldest_due, resting_lanes, lowered_lanes, load, event_loop, uptime),
    )
}
# What must be well, and how well: workers that wait for a busy database are no reason to turn away.
READINESS: dict[str, tuple[Status, ...]] = {
    "phase": ("pass",),
    "database": ("pass",),
    "liveness_lock": ("pass",),
    "claims": ("pass",),
    "results": ("pass", "warn"),
}


def _warning(text: str) -> Check:
    return Check("warn", "Maintenance found something.", "See the detail here or in the log.", detail=text)


def _shown(check: Check, detailed: bool) -> dict[str, Any]:
    detail = DATABASE_URL.sub(HIDDEN, clean_text(check.detail)) if detailed else ""
    shown = {
        "status": check.status,
        "observedValue": check.observed,
        "observedUnit": None if check.observed is None else check.unit,
        "output": " ".join(part for part in (check.output, detail) if part),
        "action": check.action,
    }
    return {name: value for name, value in shown.items() if value not in (None, "")}
