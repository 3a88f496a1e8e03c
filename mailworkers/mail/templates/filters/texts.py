"""Filters of texts, and of what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.filters import do_title
from markupsafe import Markup, escape

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.budget import BudgetedContext
from mailworkers.mail.templates.filters.numbers import whole
from mailworkers.mail.templates.operators import SEARCH_CHARS
from mailworkers.mail.templates.values import NUMBERS, number, shown, text

MOST_INDENT = 100  # columns
QUOTE_STEPS_A_CHAR = 2  # percent-encoding goes character by character
TITLE_STEPS_A_CHAR = 1  # as does looking for words
FORMAT_STEPS = 20  # a value; 20 digits of a float take some microseconds
_TAG = re.compile(r"<[^<>]*>")  # linear: no part of it can be tried twice
_CONVERSION = re.compile(r"%(?:%|[-+ 0#]{0,5}\d{0,2}(?:\.(?:1?\d|20))?[sdifeg])")  # `%05.2f`; no `*`, no name


def default(value: Any, fallback: Any = "", even_if_empty: bool = False) -> Any:
    if value is None or isinstance(value, Undefined):
        return fallback
    return fallback if even_if_empty is True and not value else value


@pass_context
def escaped(context: BudgetedContext, value: Any) -> Any:
    given = shown(context, value)
    return escape(given) if context.eval_ctx.autoescape else given


@pass_context
def safe(context: BudgetedContext, value: Any) -> Any:
    """HTML that the application vouches for. In a text part there is no HTML: its tags go."""
    given = text(value, context, "safe")
    if context.eval_ctx.autoescape:
        return Markup(given)  # noqa: S704 -- what the filter is for
    return unescape(_TAG.sub("", given))


def of_text(name: str, work: Callable[[str], Any]) -> Callable[..., Any]:
    @pass_context
    def filtered(context: BudgetedContext, value: Any) -> Any:
        return work(text(value, context, name))

    return filtered


@pass_context
def title(context: BudgetedContext, value: Any) -> str:
    given = text(value, context, "title")
    context.spend(TITLE_STEPS_A_CHAR * len(given))
    return do_title(given)


@pass_context
def trim(context: BudgetedContext, value: Any, characters: Any = None) -> Any:
    given = text(value, context, "trim")
    return given.strip(None if characters is None else text(characters, context, "trim"))


@pass_context
def replace(context: BudgetedContext, value: Any, old: Any, new: Any, most: Any = -1) -> Any:
    given, old, new = (text(part, context, "replace") for part in (value, old, new))
    most = whole(most, context, "replace")
    found = given.count(old) if most < 0 else min(most, given.count(old))
    context.spend_chars(len(given) + found * len(new))
    return given.replace(old, new, most)


@pass_context
def truncate(context: BudgetedContext, value: Any, length: Any = 255, cut_words: Any = False, end: Any = "…") -> Any:
    given, end = text(value, context, "truncate"), text(end, context, "truncate")
    length = whole(length, context, "truncate")
    if length < len(end):
        raise TemplateError(f"truncate needs a length of at least {len(end)}, which its end has")
    if len(given) <= length:
        return given
    kept = given[: length - len(end)]
    return (kept if cut_words else kept.rsplit(" ", 1)[0]) + end


@pass_context
def indent(context: BudgetedContext, value: Any, width: Any = 4, first: Any = False) -> Any:
    given, width = text(value, context, "indent"), whole(width, context, "indent")
    if not 0 <= width <= MOST_INDENT:
        raise TemplateError(f"indent takes 0 to {MOST_INDENT} columns")
    blanks = " " * width
    context.spend_chars(len(given) + width * (given.count("\n") + 1))
    indented = given.replace("\n", f"\n{blanks}")
    return blanks + indented if first else indented


@pass_context
def format_(context: BudgetedContext, value: Any, *values: Any) -> str:
    """`'%.2f'|format(price)`, as in C."""
    pattern = str(text(value, context, "format"))
    context.spend(len(pattern) // SEARCH_CHARS + FORMAT_STEPS * len(values))
    if "%" in _CONVERSION.sub("", pattern):
        raise TemplateError("format knows %s %d %i %f %e %g, 99 columns, 20 digits, and %% for a percent sign")
    given = [shown(context, one) if type(one) not in NUMBERS else number(one, context, "format") for one in values]
    try:
        return pattern % tuple(given)
    except (TypeError, ValueError, OverflowError) as bad:
        raise TemplateError(f"format does not fit its values: {bad}") from None


@pass_context
def urlencode(context: BudgetedContext, value: Any) -> str:
    given = str(text(value, context, "urlencode"))
    context.spend(len(given) * QUOTE_STEPS_A_CHAR)
    try:
        return quote(given)
    except UnicodeEncodeError:
        raise TemplateError("urlencode got a lone surrogate, which is no character") from None


@pass_context
def split(context: BudgetedContext, value: Any, separator: Any = None) -> list[str]:
    given = text(value, context, "split")
    context.spend(len(given))
    separator = None if separator is None else text(separator, context, "split")
    if separator == "":
        raise TemplateError("split needs a separator of at least one character")
    return given.split(separator)


@pass_context
def starts(context: BudgetedContext, value: Any, beginning: Any) -> bool:
    return bool(text(value, context, "startswith").startswith(text(beginning, context, "startswith")))


@pass_context
def ends(context: BudgetedContext, value: Any, end: Any) -> bool:
    return bool(text(value, context, "endswith").endswith(text(end, context, "endswith")))
