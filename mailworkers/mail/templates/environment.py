"""Jinja2's immutable sandbox, narrowed: no attribute of any Python object can be reached, not even a harmless one."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Undefined
from jinja2.nodes import EvalContext
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.code import LetterCode
from mailworkers.mail.templates.filters import FILTERS, METHODS
from mailworkers.mail.templates.missing import BlankMissing, StrictMissing
from mailworkers.mail.templates.operators import INTERNAL, calculate
from mailworkers.mail.templates.source import Missing
from mailworkers.mail.templates.tests import TESTS
from mailworkers.mail.templates.values import SCALARS, SEQUENCES, TEXTS, kind, shown, shown_in_html

LOOP_FIELDS = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "previtem", "nextitem"}
)


class LetterEnvironment(ImmutableSandboxedEnvironment):
    """A dot is a key of an object or a field of `loop`; a call is a call of a macro. There is nothing else to reach."""

    code_generator_class = LetterCode
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self, *, html: bool, missing: Missing) -> None:
        super().__init__(
            autoescape=html,
            undefined=BlankMissing if missing is Missing.BLANK else StrictMissing,
            finalize=shown,  # also keeps constants from being worked out while compiling
            keep_trailing_newline=True,
            optimized=False,  # nothing is worked out while compiling, where no budget holds
            cache_size=0,
        )
        self.globals.clear()
        self.eval_context = EvalContext(self)  # no template can change it, so that all renderings share it
        self.show = shown_in_html if html else shown
        self.filters = {**FILTERS, **{f".{name}": method for name, method in METHODS.items()}, **INTERNAL}
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: data first, so that a field may have any name."""
        if type(obj) is dict:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(name=attribute)
        if isinstance(obj, Undefined):
            return obj
        if type(obj) is LoopContext and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        return self.undefined(name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`: a key of an object or a place in a list or text."""
        if isinstance(argument, Undefined):
            argument = str(argument)  # which refuses, where a missing variable is an error
        if type(argument) not in SCALARS:
            raise TemplateError(f"{kind(argument)} cannot be a key")
        if type(obj) is dict or (type(obj) in (*SEQUENCES, *TEXTS) and type(argument) is int):
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(name=argument)
        if isinstance(obj, Undefined):
            return obj
        return self.undefined(name=argument)

    def call(self, context: Any, called: Any, *args: Any, **kwargs: Any) -> Any:
        """A macro of this template."""
        if type(called) is not Macro:
            raise TemplateError("something is called that is no macro of this template")
        return context.call(called, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic within bounds."""
        return calculate(context, operator, left, right)


@cache
def environment(*, html: bool, missing: Missing) -> LetterEnvironment:
    """One of the four there are."""
    return LetterEnvironment(html=html, missing=missing)
