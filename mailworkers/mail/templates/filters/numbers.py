"""Filters of numbers."""

from __future__ import annotations

from typing import Any

from jinja2 import pass_context

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.budget import BudgetedContext
from mailworkers.mail.templates.values import NUMBERS, number, present, text

MOST_DIGITS = 400  # of a text that becomes a number: more than any float has
MOST_PLACES = 100  # after the point


@pass_context
def round_(context: BudgetedContext, value: Any, digits: Any = 0) -> Any:
    given, digits = number(value, context, "round"), whole(digits, context, "round")
    if abs(digits) > MOST_PLACES:
        raise TemplateError(f"round takes at most {MOST_PLACES} digits")
    return round(given, digits)


@pass_context
def int_(context: BudgetedContext, value: Any, default: Any = 0) -> Any:
    try:
        return number(int(_digits(context, value, "int")), context, "int")
    except (ValueError, OverflowError):
        return default


@pass_context
def float_(context: BudgetedContext, value: Any, default: Any = 0.0) -> Any:
    try:
        return float(_digits(context, value, "float"))
    except (ValueError, OverflowError):
        return default


@pass_context
def abs_(context: BudgetedContext, value: Any) -> Any:
    return abs(number(value, context, "abs"))


def _digits(context: BudgetedContext, value: Any, wanted: str) -> Any:
    given = present(value, context)
    if type(given) in NUMBERS:
        return given
    return str(text(given, context, wanted))[:MOST_DIGITS]


def whole(value: Any, context: BudgetedContext, wanted: str) -> int:
    given = number(value, context, wanted)
    if type(given) is not int:
        raise TemplateError(f"{wanted} needs a whole number")
    return given
