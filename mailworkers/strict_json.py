"""JSON as RFC 8259 has it and PostgreSQL takes it. Python's reader alone also takes NaN and infinity, and reads 1e999 as the latter."""

from __future__ import annotations

import json
from math import isinf
from typing import Any, NoReturn


def loads(text: str) -> Any:
    """The value.

    Raises:
        ValueError: it is no JSON, or a number in it is larger than a number can be.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(written: str) -> float:
    value = float(written)
    if isinf(value):
        raise ValueError(f"{written} is larger than a number can be")
    return value
