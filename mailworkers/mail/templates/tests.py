"""What may stand behind `is`. None looks at more than a value's type, or at a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Undefined, pass_context

from mailworkers.mail.templates.budget import BudgetedContext
from mailworkers.mail.templates.values import NUMBERS, SEQUENCES, SIZED, TEXTS, number


@pass_context
def _odd(context: BudgetedContext, value: Any) -> bool:
    return bool(number(value, context, "odd") % 2 == 1)


@pass_context
def _even(context: BudgetedContext, value: Any) -> bool:
    return bool(number(value, context, "even") % 2 == 0)


@pass_context
def _divisible(context: BudgetedContext, value: Any, by: Any) -> bool:
    return bool(number(value, context, "divisibleby") % number(by, context, "divisibleby") == 0)


TESTS: dict[str, Callable[..., bool]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "undefined": lambda value: isinstance(value, Undefined),
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "boolean": lambda value: type(value) is bool,
    "string": lambda value: type(value) in TEXTS,
    "number": lambda value: type(value) in NUMBERS,
    "integer": lambda value: type(value) is int,
    "float": lambda value: type(value) is float,
    "mapping": lambda value: type(value) is dict,
    "sequence": lambda value: type(value) in (*SEQUENCES, *TEXTS),
    "iterable": lambda value: type(value) in SIZED,
    "odd": _odd,
    "even": _even,
    "divisibleby": _divisible,
}
