"""The values that templates see, which are what JSON knows, and what they may be taken for."""

from __future__ import annotations

from typing import Any

from jinja2 import Undefined, pass_context
from markupsafe import Markup, escape

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.budget import CHARS_PER_STEP, BudgetedContext
from mailworkers.mail.templates.missing import BlankMissing, absence, nullness

SEQUENCES = (list, tuple, range)
SIZED = (str, Markup, dict, *SEQUENCES)
NUMBERS = (int, float, bool)
TEXTS = (str, Markup)
SCALARS = (*TEXTS, *NUMBERS, type(None))
MOST_BITS = 256  # of a whole number in a calculation: 77 digits; without a bound they double at each step


def present(value: Any, context: BudgetedContext) -> Any:
    """The value; an empty text for what is missing or null where that is asked for.

    Raises:
        TemplateError: it is missing or null, and that is an error in this template.
    """
    if value is None:
        if context.environment.undefined is BlankMissing:
            return ""
        raise nullness()
    if isinstance(value, Undefined):
        if isinstance(value, BlankMissing):
            return ""
        raise absence(value)
    return value


def kind(value: Any) -> str:
    """A value's type, in words for a person. Never the value itself: it may be somebody's name."""
    words = {
        str: "a text", Markup: "a text", int: "a number", float: "a number", bool: "true or false", dict: "an object",
        list: "a list", tuple: "a list", range: "a list", type(None): "null",
    }  # fmt: skip
    return words.get(type(value), "a macro or a loop")


@pass_context
def shown(context: BudgetedContext, value: Any) -> str:
    """A value as it is written into the mail, before it is escaped.

    Raises:
        TemplateError: it is missing, null, a list or an object.
    """
    given = type(value)
    if given is str or given is Markup:
        if len(value) > CHARS_PER_STEP:
            context.spend_chars(len(value))
        return value  # type: ignore[no-any-return]
    if given in NUMBERS:
        return _digits(value, context)
    if value is None or isinstance(value, Undefined):
        return str(present(value, context))
    raise TemplateError(f"{kind(value)} cannot be written as a text", "Loop over it, use |join, or name a field of it")


def text(value: Any, context: BudgetedContext, wanted: str) -> str:
    """A text, as it came; numbers become one.

    Raises:
        TemplateError: it is none; `wanted` names who needs it.
    """
    value = present(value, context)
    if type(value) not in (*TEXTS, *NUMBERS):
        raise TemplateError(f"{wanted} needs a text, not {kind(value)}")
    if type(value) in NUMBERS:
        return _digits(value, context)
    context.spend_chars(len(value))
    return value  # type: ignore[no-any-return]


def shown_in_html(context: BudgetedContext, value: Any) -> str:
    """As `shown`, and escaped. Most texts need no escaping, which is found out faster than it is done."""
    if type(value) is not str:
        return escape(shown(context, value))
    if len(value) > CHARS_PER_STEP:
        context.spend_chars(len(value))
    if "&" in value or "<" in value or ">" in value or '"' in value or "'" in value:
        return escape(value)
    return value


def _digits(value: Any, context: BudgetedContext) -> str:
    """Writing a whole number takes a time that grows with the square of its length."""
    if type(value) is int and value.bit_length() > MOST_BITS:
        context.spend(value.bit_length())
    return str(value)


def number(value: Any, context: BudgetedContext, wanted: str) -> Any:
    """A number within bounds. Raises as `text`."""
    value = present(value, context)
    if type(value) not in NUMBERS:
        raise TemplateError(f"{wanted} needs a number, not {kind(value)}", "Convert a text with |int or |float")
    if type(value) is int and value.bit_length() > MOST_BITS:
        raise TemplateError(f"{wanted} got a number of more than {MOST_BITS} bits")
    return value


def items(value: Any, context: BudgetedContext, wanted: str) -> Any:
    """Something to loop over, paid for with a step an item. Raises as `text`."""
    value = present(value, context)
    if type(value) not in SIZED:
        raise TemplateError(f"{wanted} needs a list, not {kind(value)}")
    context.spend(len(value) + 1)
    return value
