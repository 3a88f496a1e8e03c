"""All fault cases in full, and what they measured as the table of docs/promises.md: `python -m tests.faults`.

200 kills in case 5 and 2,000,000 jobs in case 39; a quarter of an hour on two idle cores. Options go to pytest, as in
`python -m tests.faults -k case_5`; the table then has the cases that ran. Exit code 0 where every case held.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.cases import CASES
from tests.support.measured import measured_in

FULL = {
    "MAILWORKERS_TEST_KILLS": "200",
    "MAILWORKERS_TEST_HORIZON_JOBS": "2000000",
    "MAILWORKERS_TEST_CAMPAIGN_KILLS": "100",
}
PAGE = Path(__file__).parents[2] / "docs" / "promises.md"
BEGIN, END = "<!-- cases -->\n", "<!-- end of cases -->\n"
_IN_NAME = re.compile(r"test_cases?_(\d+)(?:_and_(\d+))?_")
_IN_WORDS = re.compile(r"cases? (\d+)(?:(?: and |/)(\d+))?[^:]*: ?")


class Table:
    """A plugin of pytest that gathers each case's figures and fate."""

    def __init__(self) -> None:
        self._files: dict[int, set[str]] = defaultdict(set)
        self._measured: dict[int, list[str]] = defaultdict(list)
        self._failed: set[int] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test has ended."""
        for case in _numbers(_IN_NAME, report.nodeid):
            self._files[case].add(Path(report.nodeid.split("::")[0]).name)
            if report.outcome != "passed":
                self._failed.add(case)
        if report.when == "call":
            for sentence in measured_in(report):
                for case in _numbers(_IN_WORDS, sentence):
                    self._measured[case].append(_shortened(sentence))

    def lines(self) -> list[str]:
        """In Markdown; the cases that ran."""
        rows = ["| Case | Fault | Expected | Measured | Where |", "|---|---|---|---|---|"]
        for case, files in sorted(self._files.items()):
            fault, expected = CASES[case]
            found = "; ".join(self._measured[case]) or "as expected"
            found = f"**failed** {found}" if case in self._failed else found
            rows.append(f"| {case} | {fault} | {expected} | {found} | {', '.join(sorted(files))} |")
        return rows


def _numbers(pattern: re.Pattern[str], text: str) -> list[int]:
    found = pattern.search(text)
    return [int(number) for number in found.groups() if number] if found else []


def _shortened(sentence: str) -> str:
    """Without the number, which the row has; what stands between it and the colon stays, in brackets."""
    head, _, rest = sentence.partition(": ")
    which = re.sub(r"cases? \d+(?:(?: and |/)\d+)?,? ?", "", head).strip(" ()")
    return f"({which}) {rest}" if which else rest


def main() -> int:
    """Run them; write the page where all ran."""
    for name, value in FULL.items():
        os.environ.setdefault(name, value)
    table = Table()
    code = int(pytest.main(["-q", str(Path(__file__).parent), *sys.argv[1:]], plugins=[table]))
    lines = table.lines()
    print("\n".join(lines))
    if len(lines) == len(CASES) + 2 and code == 0:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2], encoding="utf-8")
        print(f"written into {PAGE}")
    return code


if __name__ == "__main__":
    sys.exit(main())
