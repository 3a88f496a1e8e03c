"""Files that commands read and write, and what is wrong with them in one line. `-` is standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mailworkers import strict_json
from mailworkers.errors import EX_DATAERR, MailworkersError

STANDARD_STREAM = "-"
OBJECT_WANTED = 'Write one JSON object, as in {"city": "Bonn"}'


class Unreadable(MailworkersError):
    """A file cannot be read or written, or is not what it should be."""

    exit_code = EX_DATAERR


def read_text(path: Path) -> str:
    """Its text, which must be UTF-8. Raises Unreadable."""
    try:
        return sys.stdin.read() if str(path) == STANDARD_STREAM else path.read_text(encoding="utf-8")
    except OSError as problem:
        raise Unreadable(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise Unreadable(f"{path} is not UTF-8 at octet {problem.start + 1}", "Save it as UTF-8") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in it. Raises Unreadable."""
    return json_object(read_text(path), str(path))


def json_object(text: str, what: str) -> dict[str, Any]:
    """A JSON object, from the command line or a file; `what` names it. Raises Unreadable."""
    try:
        value = strict_json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"{what} is no JSON: {problem}", OBJECT_WANTED) from None
    if not isinstance(value, dict):
        raise Unreadable(f"{what} holds no JSON object", OBJECT_WANTED)
    return value


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file. Raises Unreadable."""
    try:
        path.write_bytes(content)
    except OSError as problem:
        raise Unreadable(f"cannot write {path}: {problem.strerror}") from None


@contextmanager
def writable(path: Path | None, option: str) -> Iterator[TextIO | None]:
    """A file to write CSV into as long as the block runs, opened before the work so that a wrong name costs none. None for None.

    Raises:
        Unreadable: it cannot be written; `option` names what was given wrong.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as problem:
        raise Unreadable(f"cannot write {path}: {problem.strerror}", f"Check {option}") from None
    with file:
        yield file
