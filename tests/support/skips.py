"""Where nothing may be skipped, as in CI, a skipped test is a failed one.

A test that needs a system package skips where it is missing, so that anyone can run the rest. CI installs them all and
sets `MAILWORKERS_TEST_NO_SKIPS=1`: a skip there means that an installation step was forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
FORBIDDEN = os.environ.get("MAILWORKERS_TEST_NO_SKIPS", "") not in ("", "0")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judges each phase of each test."""
    report = yield
    return _judged(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judges each module, which may skip itself as a whole."""
    report = yield
    return _judged(report)


def _judged(report: Report) -> Report:
    if FORBIDDEN and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (nothing may be skipped here: MAILWORKERS_TEST_NO_SKIPS is set)"
    return report
