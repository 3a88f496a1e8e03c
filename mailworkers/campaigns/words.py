"""Conditions as a person writes them, `city=Bonn` or `age>=18`, become the filter that the database keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from mailworkers.errors import CampaignError

EITHER: Final = "|"  # between the values of which one must be there
EXAMPLES: Final = "Write it as city=Bonn, plan=free|pro, age>=18, email~@example.org, phone or !phone"
_SIGNS = "=<>!~"  # what comparisons are written with; no value begins with one
_CONDITION = re.compile(r"\s*(?P<name>[^\s=<>!~]+)\s*(?P<sign>!=|>=|<=|=|>|<|~)\s*(?P<value>.*?)\s*", re.DOTALL)
_PRESENCE = re.compile(r"\s*(?P<absent>!?)\s*(?P<name>[^\s=<>!~]+)\s*")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,15})?")
_TRUTH: Final = {"true": True, "false": False}


def filter_of(words: Iterable[str]) -> dict[str, Any]:
    """The filter that these conditions make; all of them must hold.

    A number is compared as a number, also with the text "7" that comes from a CSV file, and `true` and `false` likewise.
    Anything else is compared as a text, also where greater or smaller is asked for, as with dates in ISO 8601.

    Args:
        words: such as `city=Bonn`, `plan=free|pro`, `city!=Bonn`, `age>=18`, `signed_up<2026-07-01`,
            `email~@example.org` (contains), `phone` (is there) and `!phone` (is not).

    Raises:
        CampaignError: one of them is no condition, or says something else of what an earlier one speaks of.
    """
    made: dict[str, Any] = {}
    for word in words:
        name, condition = _condition(word)
        before = made.get(name)
        if before is None:
            made[name] = condition
        elif isinstance(before, dict) and isinstance(condition, dict) and not before.keys() & condition.keys():
            before |= condition
        else:
            raise CampaignError(
                f"--where {word!r} speaks of {name} once more",
                f"Join values with {EITHER}, as in {name}=one{EITHER}other, or give a --filter",
            )
    return made


def _condition(word: str) -> tuple[str, Any]:
    presence = _PRESENCE.fullmatch(word)
    if presence:
        return presence["name"], {"exists": not presence["absent"]}
    found = _CONDITION.fullmatch(word)
    if not found or not found["value"]:
        raise CampaignError(f"--where {word!r} is no condition", EXAMPLES)
    name, value = found["name"], found["value"]
    if value[0] in _SIGNS:
        raise CampaignError(
            f"--where {word!r}: there is no comparison {found['sign'] + value[0]!r}",
            f"{EXAMPLES}. A value that begins with one of {' '.join(_SIGNS)} goes into --filter, as in {json.dumps({name: value})}",
        )
    match found["sign"]:
        case "=":
            return name, _alternatives(value)
        case "!=":
            meant = _alternatives(value)
            return name, {"not in" if isinstance(meant, list) else "!=": meant}
        case "~":
            return name, {"contains": value}
        case sign:
            return name, {sign: _value(value)}


def _alternatives(text: str) -> Any:
    """One value, or a list of those of which any will do."""
    meant = [_value(one.strip()) for one in text.split(EITHER)]
    return meant[0] if len(meant) == 1 else meant


def _value(text: str) -> Any:
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return _TRUTH.get(text, text)
