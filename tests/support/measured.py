"""Figures that tests measure, shown at the end of the run, whichever process measured them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

Measured = Callable[[str], None]
_PROPERTY = "measured"


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Takes a sentence with measured figures, for the end of the run."""

    def take(sentence: str) -> None:
        request.node.user_properties.append((_PROPERTY, " ".join(sentence.split())))

    return take


def measured_in(report: pytest.TestReport) -> list[str]:
    """The sentences of one test."""
    return [str(value) for name, value in report.user_properties if name == _PROPERTY]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured, whatever else pytest shows of the tests that passed."""
    for sentence in _all(terminalreporter):
        terminalreporter.write_line(f"measured: {sentence}")


def _all(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, []):
            if report.when == "call":
                yield from measured_in(report)
