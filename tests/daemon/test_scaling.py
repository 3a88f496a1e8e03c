"""How many workers: by depth, by target, by what the relay tolerates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailworkers.daemon.scaling import DOWN_AFTER_ROUNDS, Load, Scaling, wanted_workers

CALM = Load(workers=4, waiting=500, rate_per_hour=0.0, target_per_hour=0, tolerated=None, min_workers=2, max_workers=10)


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (CALM, 4),
        (replace(CALM, waiting=1001), 6),
        (replace(CALM, waiting=1000), 4),
        (replace(CALM, waiting=99), 3),
        (replace(CALM, waiting=99, workers=2), 2),
        (replace(CALM, waiting=5000, workers=9), 10),
        (replace(CALM, waiting=5000, workers=10), 10),
        (replace(CALM, waiting=200, target_per_hour=10_000, rate_per_hour=4_000), 6),
        (replace(CALM, waiting=5000, target_per_hour=10_000, rate_per_hour=10_000), 4),
        (replace(CALM, waiting=5000, tolerated=5), 5),
        (replace(CALM, waiting=5000, tolerated=1), 1),
        (replace(CALM, workers=12), 10),
    ],
)
def test_wanted_workers(load: Load, wanted: int) -> None:
    assert wanted_workers(load) == wanted


def test_growing_is_quick_and_shrinking_waits_for_calm() -> None:
    scaling = Scaling()
    assert scaling.next(replace(CALM, waiting=5000)) == 6
    quiet = replace(CALM, waiting=0)
    assert [scaling.next(quiet) for _ in range(DOWN_AFTER_ROUNDS)] == [4] * (DOWN_AFTER_ROUNDS - 1) + [3]


def test_what_the_relay_does_not_tolerate_is_given_up_at_once() -> None:
    assert Scaling().next(replace(CALM, workers=8, waiting=50, tolerated=3)) == 3
