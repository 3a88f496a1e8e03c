"""The life of a job, driven at random and checked after each step.

Several daemons, applications and people do what they do, on time, late, repeatedly and in the dark about what was committed,
through the rooms that the program uses, on a real database whose clock the test sets (lifecycle/clock.py). After each
step the database must hold exactly what a model in plain Python holds (lifecycle/model.py), and the promises are checked
on the rows themselves, whatever the model says.

By default few runs, always the same. In full, with new ones each time:

    MAILWORKERS_TEST_EXAMPLES=2000 pytest tests/queue/test_state_machine.py
"""

from __future__ import annotations

import os
from functools import partial
from typing import cast

from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from mailworkers.settings import Settings
from tests.queue.lifecycle.machine import Lives
from tests.queue.lifecycle.stage import Stage

EXAMPLES = "MAILWORKERS_TEST_EXAMPLES"
QUICK_EXAMPLES = 20
STEPS = 50


def test_whatever_happens_each_job_has_its_place_and_its_end(database_url: str, settings: Settings) -> None:
    full = os.environ.get(EXAMPLES)
    chosen = hypothesis_settings(
        max_examples=int(full or QUICK_EXAMPLES),
        stateful_step_count=STEPS,
        derandomize=full is None,
        database=None,
        deadline=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink] if full else [Phase.generate],  # to look for the shortest takes minutes
        suppress_health_check=list(HealthCheck),
    )
    with Stage(database_url, settings) as stage:
        run_state_machine_as_test(
            cast("type[Lives]", partial(Lives, stage)), settings=chosen
        )  # it takes what makes one
