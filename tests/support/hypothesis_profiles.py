"""How many examples hypothesis tries: few and always the same by default, many and new ones for the long form.

    HYPOTHESIS_PROFILE=thorough pytest tests/mail

or `pytest --hypothesis-profile=thorough` where a conftest at the root of the tests imports this module.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

QUICK_EXAMPLES = 40  # a few seconds for all property tests together
THOROUGH_EXAMPLES = 3_000

settings.register_profile(
    "quick",
    max_examples=QUICK_EXAMPLES,
    derandomize=True,  # a run in CI fails because of the change at hand, never by luck
    database=None,
    deadline=None,  # a shared machine's pauses are not the code's
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "thorough",
    parent=settings.get_profile("quick"),
    max_examples=THOROUGH_EXAMPLES,
    derandomize=False,
)


def load() -> None:
    """Use the profile that $HYPOTHESIS_PROFILE names, by default the quick one."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
