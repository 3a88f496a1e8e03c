"""When the daemon calls itself well, and what it says when it is not."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from mailworkers.daemon.vitals import Lowered, Vitals
from mailworkers.queue.depth import QueueDepth
from mailworkers.settings import Settings
from mailworkers.web.health import CHECKS, Thresholds, examine, overall, report, unready

NOW = 10_000.0
THRESHOLDS = Thresholds(heartbeat_late=20.0, lease=30.0, claim_late=15.0, attempt=900.0)


def well(**changes: Any) -> Vitals:
    """A daemon that has run for an hour and has nothing to complain of."""
    vitals = Vitals(
        phase="running",
        started_at=NOW - 3600,
        last_claim=NOW - 0.5,
        last_heartbeat=NOW - 4,
        last_ack=NOW - 1,
        max_unwritten=400,
        workers=2,
        connected=2,
        queue=QueueDepth(waiting=3, retrying=0, sending=1, paused=0, oldest_due_seconds=0.2, exact=True),
    )
    return dataclasses.replace(vitals, **changes)


def waiting_since(seconds: float) -> QueueDepth:
    return QueueDepth(waiting=9, retrying=0, sending=0, paused=0, oldest_due_seconds=seconds, exact=True)


def test_a_daemon_that_is_well_passes_every_check_and_is_ready() -> None:
    checks = examine(well(), NOW, THRESHOLDS)

    assert {name: check.status for name, check in checks.items()} == dict.fromkeys(CHECKS, "pass")
    assert overall(checks.values()) == "pass"
    assert unready(checks) == {}


@pytest.mark.parametrize(
    ("vitals", "name", "status"),
    [
        (well(phase="starting"), "phase", "warn"),
        (well(phase="draining"), "phase", "warn"),
        (well(phase="stopped"), "phase", "fail"),
        (well(database_problem="connection refused"), "database", "fail"),
        (well(relay_problem="certificate has expired"), "relay", "fail"),
        (well(liveness_lost=True), "liveness_lock", "fail"),
        (well(last_heartbeat=NOW - 21), "heartbeat", "warn"),
        (well(last_heartbeat=NOW - 31), "heartbeat", "fail"),
        (well(last_heartbeat=None), "heartbeat", "fail"),
        (well(last_claim=None), "claims", "warn"),
        (well(last_claim=NOW - 16), "claims", "warn"),
        (well(last_claim=NOW - 121), "claims", "fail"),
        (well(last_claim=NOW - 901, in_flight=3), "claims", "fail"),
        (well(unwritten=400), "results", "warn"),
        (well(writing_stalled=True, unwritten=12), "results", "fail"),
        (well(queue=waiting_since(301)), "oldest_due", "warn"),
        (well(resting_lanes={"acme/gmail.test": "421 slow down"}), "resting_lanes", "warn"),
        (well(loop_lag=0.3), "event_loop", "warn"),
        (well(loop_lag=6.0), "event_loop", "fail"),
        (well(warnings={"horizon": "a transaction is open since 2 h"}), "maintenance:horizon", "warn"),
    ],
)
def test_each_trouble_shows_in_its_own_check_alone(vitals: Vitals, name: str, status: str) -> None:
    checks = examine(vitals, NOW, THRESHOLDS)

    assert {found: check.status for found, check in checks.items() if check.status != "pass"} == {name: status}
    assert checks[name].output
    assert overall(checks.values()) == status
    if status == "fail":
        assert checks[name].action, "whoever is woken by it needs to know what to do"


@pytest.mark.parametrize(
    "vitals",
    [
        pytest.param(well(last_claim=NOW - 300, in_flight=10), id="workers are busy with a slow relay"),
        pytest.param(well(last_claim=NOW - 300, buffered=10), id="claimed jobs wait for workers"),
        pytest.param(well(last_heartbeat=None, started_at=NOW - 3), id="the first heartbeat is to come"),
        pytest.param(well(queue=None), id="the depth is not known yet"),
        pytest.param(well(queue=waiting_since(299)), id="four minutes are bearable"),
        pytest.param(well(max_unwritten=0), id="no bound is known yet"),
    ],
)
def test_what_is_no_trouble(vitals: Vitals) -> None:
    assert overall(examine(vitals, NOW, THRESHOLDS).values()) == "pass"


def test_mail_of_other_lanes_that_waits_is_told_while_one_rests() -> None:
    vitals = well(queue=waiting_since(5000), resting_lanes={"acme/gmail.test": "421 slow down"})

    checks = examine(vitals, NOW, THRESHOLDS)

    assert [name for name, check in checks.items() if check.status != "pass"] == ["oldest_due", "resting_lanes"]


def test_a_lowered_lane_is_told_and_no_fault() -> None:
    checks = examine(well(lowered={"acme": Lowered(42.0, 42.0, 60.0, 0.0, "421 too many")}), NOW, THRESHOLDS)

    assert checks["lowered_lanes"].status == "pass"
    assert checks["lowered_lanes"].detail == "acme: 42 mails/s for 60 s: 421 too many"


def test_a_daemon_that_slows_itself_says_why() -> None:
    checks = examine(well(slowed_by_load="the database takes 2 s", load_rate=70.0), NOW, THRESHOLDS)

    assert (checks["load"].status, checks["load"].observed) == ("warn", 70.0)
    assert "the database takes 2 s" in checks["load"].detail


def test_the_worst_check_is_the_status_of_all() -> None:
    checks = examine(well(loop_lag=0.3, database_problem="refused"), NOW, THRESHOLDS)

    assert overall(checks.values()) == "fail"


@pytest.mark.parametrize(
    ("vitals", "why"),
    [
        (well(phase="starting"), ["phase"]),
        (well(phase="draining"), ["phase"]),
        (well(database_problem="refused"), ["database"]),
        (well(liveness_lost=True), ["liveness_lock"]),
        (well(last_claim=None), ["claims"]),
        (well(last_claim=NOW - 20), ["claims"]),
        (well(writing_stalled=True), ["results"]),
        (well(unwritten=400), []),
        (well(relay_problem="unreachable"), []),
        (well(loop_lag=6.0), []),
    ],
)
def test_readiness_is_about_taking_work(vitals: Vitals, why: list[str]) -> None:
    assert list(unready(examine(vitals, NOW, THRESHOLDS))) == why


def test_a_report_without_details_holds_nothing_that_came_from_outside() -> None:
    vitals = well(
        database_problem="no answer from db.test:5432",
        relay_problem="relay.test said 535 to robot@shop.example",
        resting_lanes={"acme/gmail.test": "421 slow down"},
        warnings={"horizon": "pid 77 of app_user"},
    )
    checks = examine(vitals, NOW, THRESHOLDS)

    brief = json.dumps(report("fail", checks, detailed=False))
    full = json.dumps(report("fail", checks, detailed=True))

    for told in ("db.test", "relay.test", "acme", "app_user"):
        assert told not in brief
        assert told in full
    assert "shop.example" not in full, "an address is for nobody"


def test_no_report_shows_how_to_get_into_the_database() -> None:
    checks = examine(well(database_problem="cannot use postgresql://me:pw@db.test/mail"), NOW, THRESHOLDS)

    shown = json.dumps(report("fail", checks, detailed=True))

    assert "pw" not in shown
    assert "postgresql" not in shown


def test_a_thousand_resting_lanes_make_one_short_line() -> None:
    lanes = {f"workspace-{n:04}/": "throttled" for n in range(1000)}

    check = examine(well(resting_lanes=lanes), NOW, THRESHOLDS)["resting_lanes"]

    assert check.observed == 1000
    assert check.detail.endswith("; and 995 more")
    assert len(check.detail) < 300


def test_thresholds_follow_the_settings() -> None:
    usual = Thresholds.of(Settings())
    slow = Thresholds.of(Settings(lease_seconds=90, heartbeat_seconds=30, poll_seconds=60, job_deadline_seconds=100))

    assert usual == Thresholds(heartbeat_late=20.0, lease=30.0, claim_late=15.0, attempt=900.0)
    assert slow == Thresholds(heartbeat_late=60.0, lease=90.0, claim_late=300.0, attempt=100.0)
