"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. `skip`: it could not be looked at, which is no fault."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing, and what to do about it where something is to be done."""

    check: str
    level: Level
    sentence: str
    advice: str = ""


def ok(check: str, sentence: str) -> Finding:
    return Finding(check, Level.OK, sentence)


def warn(check: str, sentence: str, advice: str) -> Finding:
    return Finding(check, Level.WARN, sentence, advice)


def fail(check: str, sentence: str, advice: str) -> Finding:
    return Finding(check, Level.FAIL, sentence, advice)


def skip(check: str, sentence: str, advice: str = "") -> Finding:
    return Finding(check, Level.SKIP, sentence, advice)
