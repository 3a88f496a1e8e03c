"""What follows from the figures: medians and ratios."""

from __future__ import annotations

import pytest

from mailworkers.bench.figures import Passage, Percentiles, Report, Speed
from mailworkers.bench.plan import Plan

JOBS = 1000


def passage(seconds: float = 1.0) -> Passage:
    return Passage(Speed(JOBS, seconds, 0.05), 0.1, {}, 20, 1, Percentiles(0.1, 0.2, 0.3), JOBS)


def report(*passages: Passage) -> Report:
    plan = Plan(JOBS, 3000, None, 10, 1, len(passages), latency=False, metrics=True)
    references = {"naive": [Speed(100, 1.0), Speed(300, 1.0), Speed(200, 1.0)]}
    return Report(plan, "a sink", {}, {}, passages, [passage(0.25)], references)


def test_a_figure_is_the_run_of_median_speed() -> None:
    three = report(passage(0.9), passage(0.5), passage(0.7))

    assert three.passage.speed.seconds == 0.7
    assert three.reference("naive").per_second == 200
    assert three.ratios == {"naive": pytest.approx(JOBS / 0.7 / 200), "queue without SMTP": pytest.approx(0.25 / 0.7)}


def test_a_mail_costs_its_share() -> None:
    one = passage()

    assert one.speed.cpu_microseconds == pytest.approx(50)
    assert one.statements_per_mail == pytest.approx(0.02)


def test_percentiles_are_of_the_values() -> None:
    assert Percentiles.of([value / 100 for value in range(101)]) == Percentiles(0.5, 0.95, 0.99)
