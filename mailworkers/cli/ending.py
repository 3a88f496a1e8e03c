"""How every command ends: one clear line and an exit code, whatever was raised; a traceback only where it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer

from mailworkers.errors import MailworkersError

# Exit codes beside those of errors.py. Above 128: ended by that signal, as shells write it.
EX_USAGE = 2
EX_SOFTWARE = 70
EX_INTERRUPTED = 130
EX_BROKEN_PIPE = 141

# What the library that reads the command line says, in plain words.
_PLAIN = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid integer.*"), "it must be a whole number"),
    (re.compile(r"Input should be a valid number.*"), "it must be a number"),
    (re.compile(r"Input should be greater than or equal to "), "it must be at least "),
    (re.compile(r"Input should be less than or equal to "), "it must be at most "),
)

DEBUG_VARIABLE = "MAILWORKERS_DEBUG"


def run_to_end(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing is raised.

    Args:
        app: the typer application.
        arguments: instead of those of the process.
    """
    try:
        ended = app(args=arguments, standalone_mode=False, prog_name="mailworkers")
        sys.stdout.flush()
        code = ended if isinstance(ended, int) else 0
    except BaseException as error:  # noqa: BLE001 -- the last frame: whatever comes ends as a line and a code
        code = _say(error)
    _give_up_what_cannot_be_said()
    return code


def _say(error: BaseException) -> int:
    ours = next((leaf for leaf in _leaves(error) if isinstance(leaf, MailworkersError)), None)
    if _debugging():
        traceback.print_exception(error)
    match ours or next(_leaves(error)):
        case MailworkersError() as known:
            return _complain(str(known), known.exit_code)
        case typer.TyperException() as usage:
            return _complain(_usage_line(usage), EX_USAGE)
        case KeyboardInterrupt() | asyncio.CancelledError() | typer.Abort():
            return EX_INTERRUPTED
        case BrokenPipeError():  # `mailworkers jobs list | head`: nothing to say, and nobody to say it to
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EX_BROKEN_PIPE
        case SystemExit() as asked:
            return asked.code if isinstance(asked.code, int) else 1
        case other:
            what = " ".join(f"{type(other).__name__}: {other}".split())
            return _complain(f"unexpected {what}. Run it again with --debug for the traceback", EX_SOFTWARE)


def _complain(line: str, code: int) -> int:
    if line:
        with contextlib.suppress(OSError):
            print("mailworkers:", " ".join(line.split()), file=sys.stderr, flush=True)  # noqa: T201 -- the one line
    return code


def _give_up_what_cannot_be_said() -> None:
    """Where the log's disk is full, Python tries once more at its end, and would exit with 120 whatever the code was."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _usage_line(usage: typer.TyperException) -> str:
    context = getattr(usage, "ctx", None)
    command = context.command_path if context is not None else "mailworkers"
    said = usage.format_message()
    if not said:  # no command was given: the help is already shown
        return ""
    for theirs, plain in _PLAIN:
        said = theirs.sub(plain, said)
    return f"{said.rstrip('.')}{'' if said.endswith('?') else '.'} See `{command} --help`"


def _debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
