"""Whatever is raised, a command ends with one line and a code; a traceback comes only where it is asked for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from mailworkers import __version__
from mailworkers.cli.app import app as commands
from mailworkers.cli.ending import DEBUG_VARIABLE, run_to_end
from mailworkers.errors import DatabaseUnavailable, MailworkersError, SettingsError
from tests.support.program import environment, mailworkers


def raising(error: BaseException) -> Callable[..., Any]:
    def app(**_: Any) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SettingsError("PORT is no number", "Give one"), 78, "mailworkers: PORT is no number. Give one\n"),
        (DatabaseUnavailable("nobody\nanswers"), 69, "mailworkers: nobody answers\n"),
        (BaseExceptionGroup("", [ExceptionGroup("", [MailworkersError("no")])]), 1, "mailworkers: no\n"),
        (KeyboardInterrupt(), 130, ""),
        (asyncio.CancelledError(), 130, ""),
        (typer.Exit(3), 3, ""),
        (SystemExit(4), 4, ""),
    ],
)
def test_each_kind_of_end(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def end() -> None:
        raise error

    assert run_to_end(app, []) == code
    assert capsys.readouterr().err == line


def test_what_nobody_expected_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)

    assert run_to_end(raising(ZeroDivisionError("division\nby zero"))) == 70

    shown = capsys.readouterr().err
    assert shown == (
        "mailworkers: unexpected ZeroDivisionError: division by zero. Run it again with --debug for the traceback\n"
    )


def test_a_traceback_where_it_is_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEBUG_VARIABLE, "1")

    assert run_to_end(raising(ZeroDivisionError("x"))) == 70

    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("bogus",), ("status", "--bogus"), ("jobs", "show", "many"), ("jobs", "show")])
def test_a_wrong_command_line_is_one_line_that_names_the_help(arguments: tuple[str, ...]) -> None:
    ended = mailworkers(*arguments)

    assert ended.returncode == 2
    assert ended.stderr.startswith("mailworkers: ")
    assert "--help`" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("statsu",), "No such command 'statsu'. Did you mean 'status'? See `mailworkers --help`"),
        (("jobs", "show", "abc"), "Invalid value for 'job_id': it must be a whole number. See `"),
        (("jobs", "list", "--limit", "0"), "Invalid value for '--limit': it must be at least 1. See `"),
        (("jobs", "list", "--status", "foo"), "Invalid value for '--status': 'foo' is not one of 'waiting', "),
    ],
)
def test_a_wrong_command_line_is_explained_in_plain_words(
    arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_to_end(commands, arguments) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("jobs",)])
def test_no_command_shows_the_help_and_nothing_else(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_to_end(commands, arguments) == 2

    shown = capsys.readouterr()
    assert "Usage: " in shown.out
    assert shown.err == ""


def test_the_version_is_an_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_end(commands, ["--version"]) == 0
    assert capsys.readouterr().out == f"mailworkers {__version__}\n"


def test_nothing_is_said_where_nobody_reads_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mailworkers", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()

    assert errors == b""
    assert process.returncode in (1, 141)


def test_a_full_disk_changes_no_exit_code() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 -- a device
        ended = subprocess.run(
            [sys.executable, "-m", "mailworkers", "no-such-command"],
            stdin=subprocess.DEVNULL, stdout=full, stderr=full, env=environment(), cwd="/", timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 2
