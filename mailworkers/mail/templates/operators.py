"""What templates do with values beside filtering them. Everything here is paid for before it is done.

Values are what JSON knows. Lists and objects are compared with nothing but an empty one: a list that holds itself twice,
and so on thirty times, would take years to compare.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from jinja2 import Undefined, pass_context
from markupsafe import Markup

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.budget import CHARS_PER_STEP, BudgetedContext
from mailworkers.mail.templates.values import (
    NUMBERS,
    SCALARS,
    SEQUENCES,
    SIZED,
    TEXTS,
    items,
    kind,
    number,
    present,
    shown,
)

MAX_RANGE = 10_000  # items; a mail that counts further is a mistake
SEARCH_CHARS = 8  # characters of a text that cost as much to search as to handle 32
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def calculate(context: BudgetedContext, sign: str, left: Any, right: Any) -> Any:
    """Arithmetic, on numbers alone; `+` also puts two texts together. Raises as `text`."""
    if sign == "+" and type(left) in TEXTS and type(right) in TEXTS:
        context.spend_chars(len(left) + len(right))
        return left + right
    try:
        return _ARITHMETIC[sign](number(left, context, sign), number(right, context, sign))
    except ZeroDivisionError:
        raise TemplateError("a number is divided by zero") from None
    except OverflowError:
        raise TemplateError("a number grows beyond all bounds") from None


@pass_context
def compare(context: BudgetedContext, first: Any, *rest: Any) -> bool:
    """`a == b`, or a chain such as `1 < x <= 9`: `rest` holds each operation and its right side. Raises as `text`."""
    left = first
    for place in range(0, len(rest), 2):
        if not _holds(context, left, rest[place], rest[place + 1]):
            return False
        left = rest[place + 1]
    return True


def _holds(context: BudgetedContext, left: Any, operation: str, right: Any) -> bool:
    left, right = (present(side, context) if isinstance(side, Undefined) else side for side in (left, right))
    match operation:
        case "eq":
            return equal(context, left, right)
        case "ne":
            return not equal(context, left, right)
        case "in":
            return contains(context, right, left)
        case "notin":
            return not contains(context, right, left)
    if not (type(left) in NUMBERS and type(right) in NUMBERS) and not (type(left) in TEXTS and type(right) in TEXTS):
        raise TemplateError(f"{kind(left)} and {kind(right)} have no order", "Convert a text with |int or |float")
    _pay(context, left, right)
    return _ORDERS[operation](left, right)


def equal(context: BudgetedContext, left: Any, right: Any) -> bool:
    """Whether two values are the same. Raises as `text`."""
    if type(left) in SCALARS and type(right) in SCALARS:
        _pay(context, left, right)
        return bool(left == right)
    if type(left) in SCALARS or type(right) in SCALARS:
        return False
    if type(left) in SIZED and type(right) in SIZED and not (left and right):
        return isinstance(left, dict) == isinstance(right, dict) and not left and not right
    raise TemplateError("lists and objects can only be compared with an empty one", "Compare their fields")


def contains(context: BudgetedContext, holder: Any, wanted: Any) -> bool:
    """Whether a text, a list or an object's keys contain a value. Raises as `text`."""
    holder = present(holder, context)
    if type(wanted) not in SCALARS:
        raise TemplateError(f"{kind(wanted)} cannot be looked for")
    if type(holder) in TEXTS:
        if type(wanted) not in TEXTS:
            raise TemplateError(f"{kind(wanted)} cannot be looked for in a text")
        context.spend(len(holder) // SEARCH_CHARS)
        return wanted in holder
    if type(holder) is dict:
        return wanted in holder
    holder = items(holder, context, "in")
    if type(wanted) in TEXTS:
        context.spend(len(holder) * (len(wanted) // CHARS_PER_STEP))
    return any(type(item) in SCALARS and item == wanted for item in holder)


@pass_context
def concatenate(context: BudgetedContext, *parts: Any) -> str:
    """`a ~ b`. Where one of them is safe HTML, the others are escaped."""
    texts = [shown(context, part) for part in parts]
    if context.eval_ctx.autoescape and any(type(part) is Markup for part in texts):
        return Markup("").join(texts)
    return "".join(texts)


@pass_context
def count_to(context: BudgetedContext, *bounds: Any) -> range:
    """`range(…)`. Raises as `text`, and where it is longer than `MAX_RANGE`."""
    numbers = [number(bound, context, "range") for bound in bounds]
    if not 1 <= len(numbers) <= 3 or any(type(bound) is not int for bound in numbers) or numbers[2:] == [0]:
        raise TemplateError("range needs one to three whole numbers")
    counted = range(*numbers)
    if counted and (counted[-1] - counted[0]) // counted.step >= MAX_RANGE:
        raise TemplateError(f"range counts further than {MAX_RANGE:,} items")
    return counted


@pass_context
def slice_of(context: BudgetedContext, value: Any, start: Any, stop: Any, step: Any) -> Any:
    """`value[start:stop:step]`. Raises as `text`."""
    value = present(value, context)
    if type(value) not in (*TEXTS, *SEQUENCES):
        raise TemplateError(f"{kind(value)} has no slices")
    bounds = [None if bound is None else number(bound, context, "a slice") for bound in (start, stop, step)]
    if any(type(bound) not in (int, type(None)) for bound in bounds) or bounds[2] == 0:
        raise TemplateError("a slice needs whole numbers")
    context.spend(len(value) // SEARCH_CHARS)
    return value[slice(*bounds)]


@pass_context
def turns(context: BudgetedContext, value: Any, cost: int) -> Any:
    """What a loop goes over, after all its turns are paid for. Raises as `text`."""
    value = present(value, context)
    if type(value) not in SIZED:
        raise TemplateError(f"{kind(value)} cannot be looped over", "Loop over a list, or over object.items()")
    context.spend(len(value) * cost + 1)
    return value


@pass_context
def called(context: BudgetedContext, cost: int) -> str:
    """Pays for a macro's body."""
    context.spend(cost)
    return ""


@pass_context
def cycled(context: BudgetedContext, index: Any, *values: Any) -> Any:
    """`loop.cycle(…)`."""
    return values[number(index, context, "loop.cycle") % len(values)]


def _pay(context: BudgetedContext, left: Any, right: Any) -> None:
    """Equal texts are read to their end, others to where they differ."""
    if type(left) in TEXTS and type(right) in TEXTS:
        shorter = min(len(left), len(right))
        if shorter > CHARS_PER_STEP:
            context.spend_chars(shorter)


INTERNAL = {
    " compare": compare,
    " concat": concatenate,
    " range": count_to,
    " slice": slice_of,
    " turns": turns,
    " called": called,
    " cycle": cycled,
}
"""Under names with a blank before them, which no template can write."""
