"""The filters that templates may use, each bounded. What Jinja2 has beyond them is left out for a reason:

attr, map(filter), pprint, tojson    reach or show what is not data
random                               an attempt would differ from the one before it
urlize, striptags, wordwrap, xmlattr slow on hostile texts, and of no use in a letter
center, filesizeformat, slice …      nobody missed them; `format` and slices do it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailworkers.mail.templates.filters import lists, numbers, texts

Filter = Callable[..., Any]

FILTERS: dict[str, Filter] = {
    # what is missing, and how it is written
    "default": texts.default, "d": texts.default, "escape": texts.escaped, "e": texts.escaped, "safe": texts.safe,
    "string": texts.of_text("string", str),
    # texts
    "upper": texts.of_text("upper", lambda given: given.upper()),
    "lower": texts.of_text("lower", lambda given: given.lower()),
    "capitalize": texts.of_text("capitalize", lambda given: given.capitalize()),
    "title": texts.title, "trim": texts.trim, "replace": texts.replace, "truncate": texts.truncate,
    "indent": texts.indent, "format": texts.format_, "urlencode": texts.urlencode,
    # numbers
    "round": numbers.round_, "int": numbers.int_, "float": numbers.float_, "abs": numbers.abs_,
    # lists and objects
    "join": lists.join, "length": lists.length, "count": lists.length, "list": lists.list_, "first": lists.first,
    "last": lists.last, "reverse": lists.reverse, "sort": lists.sort, "unique": lists.unique, "map": lists.map_,
    "selectattr": lists.picking("selectattr", wanted=True), "rejectattr": lists.picking("rejectattr", wanted=False),
    "sum": lists.sum_, "min": lists.extreme("min", min), "max": lists.extreme("max", max), "batch": lists.batch,
    "items": lists.pairs, "dictsort": lists.dictsort,
}  # fmt: skip

# Methods that people write from habit, as the filter that does the same: no method of Python's is ever called.
METHODS: dict[str, Filter] = {
    "items": lists.pairs,
    "keys": lists.list_,
    "values": lists.values,
    "get": lists.get,
    "upper": FILTERS["upper"],
    "lower": FILTERS["lower"],
    "title": FILTERS["title"],
    "capitalize": FILTERS["capitalize"],
    "strip": texts.trim,
    "replace": texts.replace,
    "split": texts.split,
    "startswith": texts.starts,
    "endswith": texts.ends,
}
