"""Filters of lists and objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Undefined, pass_context
from markupsafe import Markup, escape

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.budget import BudgetedContext
from mailworkers.mail.templates.filters.numbers import whole
from mailworkers.mail.templates.operators import compare, equal
from mailworkers.mail.templates.values import NUMBERS, SCALARS, TEXTS, items, kind, number, present, shown, text

SORT_STEPS = 2  # an item's comparisons, beside the item itself, for each doubling of the list
FIELD_STEPS = 2  # a dot of `attribute='address.city'`
PICK_STEPS = 3  # one item's comparison
MOST_DOTS = 8
MOST_IN_A_ROW = 100


@pass_context
def join(context: BudgetedContext, value: Any, separator: Any = "", attribute: Any = None) -> str:
    parts = [shown(context, item) for item in _fields(context, items(value, context, "join"), attribute)]
    separator = text(separator, context, "join")
    context.spend_chars(len(separator) * len(parts))
    if context.eval_ctx.autoescape and any(type(part) is Markup for part in (separator, *parts)):
        return escape(separator).join(parts)
    return str(separator).join(parts)


@pass_context
def length(context: BudgetedContext, value: Any) -> int:
    return len(items(value, context, "length")) if type(value) not in TEXTS else len(value)


@pass_context
def list_(context: BudgetedContext, value: Any) -> list[Any]:
    return list(items(value, context, "list"))


@pass_context
def first(context: BudgetedContext, value: Any) -> Any:
    return next(iter(items(value, context, "first")), _nothing(context, "first"))


@pass_context
def last(context: BudgetedContext, value: Any) -> Any:
    return next(iter(list(items(value, context, "last"))[::-1]), _nothing(context, "last"))


@pass_context
def reverse(context: BudgetedContext, value: Any) -> Any:
    given = items(value, context, "reverse")
    return given[::-1] if type(given) in TEXTS else list(given)[::-1]


@pass_context
def sort(
    context: BudgetedContext, value: Any, reverse: Any = False, case_sensitive: Any = False, attribute: Any = None
) -> list[Any]:
    given = list(items(value, context, "sort"))
    keys = _fields(context, given, attribute)
    _comparable(context, keys, "sort")
    order = [key.lower() if type(key) in TEXTS and not case_sensitive else key for key in keys]
    context.spend(SORT_STEPS * len(given) * len(given).bit_length())
    places = sorted(range(len(given)), key=order.__getitem__, reverse=bool(reverse))
    return [given[place] for place in places]


@pass_context
def unique(context: BudgetedContext, value: Any, case_sensitive: Any = False, attribute: Any = None) -> list[Any]:
    kept: dict[Any, Any] = {}
    given = items(value, context, "unique")
    for item, key in zip(given, _fields(context, given, attribute), strict=True):
        if type(key) not in SCALARS:
            raise TemplateError(f"unique cannot compare {kind(key)}", "Name a field: unique(attribute='…')")
        if type(key) in TEXTS:
            context.spend_chars(len(key))
        kept.setdefault(key if case_sensitive or type(key) not in TEXTS else key.lower(), item)
    return list(kept.values())


@pass_context
def map_(context: BudgetedContext, value: Any, attribute: Any = None, default: Any = None) -> list[Any]:
    if attribute is None:
        raise TemplateError("map takes a field and nothing else", "Write map(attribute='…')")
    found = _fields(context, items(value, context, "map"), attribute)
    return [default if isinstance(item, Undefined) and default is not None else item for item in found]


def picking(name: str, *, wanted: bool) -> Callable[..., Any]:
    @pass_context
    def picked(context: BudgetedContext, value: Any, attribute: Any, operation: Any = "", *right: Any) -> list[Any]:
        given = items(value, context, name)
        found = _fields(context, given, attribute)
        context.spend(PICK_STEPS * len(found))
        pairs = zip(given, found, strict=True)
        return [item for item, field in pairs if _passes(context, field, operation, right) == wanted]

    return picked


def _passes(context: BudgetedContext, value: Any, operation: Any, right: tuple[Any, ...]) -> bool:
    match operation, len(right):
        case "", 0:
            return bool(value)
        case "defined", 0:
            return not isinstance(value, Undefined)
        case "eq" | "equalto" | "==", 1:
            return equal(context, present(value, context) if isinstance(value, Undefined) else value, right[0])
        case "ne" | "!=", 1:
            return not equal(context, present(value, context) if isinstance(value, Undefined) else value, right[0])
        case "in", 1:
            return bool(compare(context, value, "in", right[0]))
        case "lt" | "gt", 1:
            return bool(compare(context, value, operation, right[0]))
    raise TemplateError("selectattr and rejectattr know defined, eq, ne, lt, gt and in")


@pass_context
def sum_(context: BudgetedContext, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = number(start, context, "sum")
    for item in _fields(context, items(value, context, "sum"), attribute):
        total = number(total + number(item, context, "sum"), context, "sum")
    return total


def extreme(name: str, chosen: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def found(context: BudgetedContext, value: Any, attribute: Any = None) -> Any:
        given = list(items(value, context, name))
        keys = _fields(context, given, attribute)
        _comparable(context, keys, name)
        return given[chosen(range(len(given)), key=keys.__getitem__)] if given else _nothing(context, name)

    return found


@pass_context
def batch(context: BudgetedContext, value: Any, size: Any, fill: Any = None) -> list[list[Any]]:
    given, size = list(items(value, context, "batch")), whole(size, context, "batch")
    if not 1 <= size <= MOST_IN_A_ROW:
        raise TemplateError(f"batch makes rows of 1 to {MOST_IN_A_ROW} items")
    rows = [given[place : place + size] for place in range(0, len(given), size)]
    if rows and fill is not None:
        rows[-1] += [fill] * (size - len(rows[-1]))
    return rows


@pass_context
def pairs(context: BudgetedContext, value: Any) -> list[tuple[Any, Any]]:
    return list(_object(value, context, "items").items())


@pass_context
def values(context: BudgetedContext, value: Any) -> list[Any]:
    return list(_object(value, context, "values").values())


@pass_context
def dictsort(context: BudgetedContext, value: Any) -> list[tuple[Any, Any]]:
    given = _object(value, context, "dictsort")
    _comparable(context, list(given), "dictsort")
    context.spend(SORT_STEPS * len(given) * len(given).bit_length())
    return sorted(given.items(), key=lambda pair: pair[0].lower() if type(pair[0]) in TEXTS else pair[0])


@pass_context
def get(context: BudgetedContext, value: Any, key: Any, default: Any = None) -> Any:
    """`object.get('key')`."""
    given = present(value, context)
    if type(given) is not dict or type(key) not in SCALARS:
        raise TemplateError(f"get needs an object and a key, not {kind(given)}")
    return given.get(key, default)


def _fields(context: BudgetedContext, given: Any, attribute: Any) -> list[Any]:
    """A field of each item: `attribute='address.city'`; the items themselves where none is named."""
    if attribute is None:
        return list(given)
    path = str(text(attribute, context, "attribute")).split(".", MOST_DOTS)
    context.spend(FIELD_STEPS * len(path) * len(given))
    found = given
    for name in path:
        found = [context.environment.getattr(item, name) for item in found]
    return list(found)


def _comparable(context: BudgetedContext, keys: list[Any], wanted: str) -> None:
    for key in keys:
        present(key, context)
        if type(key) in TEXTS:
            context.spend_chars(len(key))
    of_one_kind = all(type(key) in NUMBERS for key in keys) or all(type(key) in TEXTS for key in keys)
    if not of_one_kind:
        raise TemplateError(f"{wanted} needs numbers only or texts only", f"Name a field: {wanted}(attribute='…')")


def _object(value: Any, context: BudgetedContext, wanted: str) -> Any:
    given = present(value, context)
    if type(given) is not dict and given != "":
        raise TemplateError(f"{wanted} needs an object, not {kind(given)}")
    context.spend(len(given) + 1)
    return given or {}


def _nothing(context: BudgetedContext, name: str) -> Undefined:
    return context.environment.undefined(f"an empty list has no {name} item")
