"""What the demo prints where no bar can be drawn, and what it suggests to a person."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mailworkers.cli import demo_screen
from mailworkers.cli.demo_screen import DemoScreen
from mailworkers.demo.run import Progress, Where


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> tuple[DemoScreen, io.StringIO]:
    monkeypatch.setattr(demo_screen, "PLAIN_LINE_SECONDS", 0.0)
    written = io.StringIO()
    return DemoScreen(Console(file=written, width=200), None), written


def test_a_line_of_progress_says_what_each_figure_counts(screen: tuple[DemoScreen, io.StringIO]) -> None:
    shown, written = screen
    progress = Progress(965, captured=4)
    progress.inserted.refused["x"] = "why"

    shown.progressed(progress)

    assert "of 965 addresses: 0 accepted, 1 refused; 4 mails arrived" in written.getvalue()


def test_its_suggestions_name_the_program_as_it_can_be_called(
    screen: tuple[DemoScreen, io.StringIO], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown, written = screen
    program = tmp_path / "mailworkers"
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])

    shown.kept(Where("postgresql://127.0.0.1/x", "http://127.0.0.1:1/health", "127.0.0.1:1"))

    assert f"  {program} top" in written.getvalue()
