"""Which of Jinja2's language a template may use, and how what it uses is made to pay.

The tree of a parsed template is walked once. A node that is not on the list is refused, whatever it would do. Then nothing
is left in the tree that could run unpaid: a loop goes through ` turns`, comparison and joining are filters of ours, a call
is a macro that was defined above it, and what looks like a method is the filter of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from inspect import signature
from math import isfinite
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from mailworkers.mail.templates.budget import CHARS_PER_STEP
from mailworkers.mail.templates.filters import FILTERS, METHODS
from mailworkers.mail.templates.tests import TESTS

DEEPEST = 40  # nodes within nodes; a letter written by a person stays below 15
DEEPEST_LOOPS = 6  # CPython nests 20 blocks at most, and a mail has no use for more
NEAREST = 3  # names shown for one that is not known
CALL_STEPS = 10  # what a macro's call takes beside its body
ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For, nodes.With,
    nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv,
    nodes.Mod, nodes.Concat, nodes.CondExpr,
)  # fmt: skip
WRITTEN = {
    nodes.Include: "{% include %}", nodes.Import: "{% import %}", nodes.FromImport: "{% from … import %}",
    nodes.Extends: "{% extends %}", nodes.Block: "{% block %}", nodes.CallBlock: "{% call %}", nodes.Pow: "**",
    nodes.FilterBlock: "{% filter %}", nodes.ScopedEvalContextModifier: "{% autoescape %}", nodes.NSRef: "namespace",
    nodes.ExprStmt: "{% do %}", nodes.Scope: "{% autoescape %}",
}  # fmt: skip
RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})
SHARED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)
ONE_LETTER = "A letter is one template: put what letters share into each before saving it"
OTHERWISE = "What a template may use is in docs/templates.md"


class Refused(Exception):
    """What a template may not say: `near` is how it is written there."""

    def __init__(self, line: int | None, message: str, hint: str = "", near: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint, self.near = line or 0, message, hint, near


def tamed(template: nodes.Template) -> nodes.Template:
    """The same template, within bounds.

    Raises:
        Refused: it uses what is not allowed.
    """
    _check_depth(template)
    _Language().visit(template)  # the root stays the same node
    return template


def _nearest(name: str, what: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, NEAREST)
    meant = f"Perhaps {' or '.join(near)} is meant; all" if near else "All"
    return f"{meant} {what}s are in docs/templates.md"


def _check_depth(root: nodes.Node) -> None:
    """Without recursion, which the depth could end."""
    below: list[tuple[nodes.Node, int, int]] = [(root, 0, 0)]
    while below:
        node, depth, loops = below.pop()
        loops += isinstance(node, (nodes.For, nodes.With, nodes.Macro))
        if depth > DEEPEST or loops > DEEPEST_LOOPS:
            raise Refused(node.lineno, "it is nested too deeply", f"At most {DEEPEST_LOOPS} loops within each other")
        # A chain of {% elif %} is no depth.
        below += [(child, depth + (not isinstance(child, nodes.If)), loops) for child in node.iter_child_nodes()]


def _cost(body: list[nodes.Node]) -> int:
    """Steps of one pass, without what its loops and macros pay themselves."""
    return sum(_costs(body)) + 1


def _costs(body: list[nodes.Node]) -> Iterator[int]:
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield 1 + (len(node.data) // CHARS_PER_STEP if isinstance(node, nodes.TemplateData) else 0)
        match node:
            case nodes.For():
                waiting += [node.iter, *node.else_]
            case nodes.Macro():
                pass
            case _:
                waiting += node.iter_child_nodes()


def _ours(name: str, first: nodes.Node, *rest: nodes.Node) -> nodes.Filter:
    return nodes.Filter(first, name, list(rest), [], None, None, lineno=first.lineno)


def _check_arguments(node: nodes.Filter | nodes.Test, function: Callable[..., Any]) -> None:
    before = 2 if hasattr(function, "jinja_pass_arg") else 1  # the context where it asks for one, and the value
    try:
        signature(function).bind(*[None] * (before + len(node.args)), **{str(one.key): None for one in node.kwargs})
    except TypeError as bad:
        name = node.name.removeprefix(".")
        raise Refused(node.lineno, f"'{name}' cannot be used so: {bad}", OTHERWISE, name) from None


class _Language(NodeTransformer):
    """Replaces nodes from the leaves up."""

    def __init__(self) -> None:
        self._macros: set[str] = set()

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        if not isinstance(node, ALLOWED) and type(node) not in ALLOWED:
            hint = ONE_LETTER if isinstance(node, SHARED) else OTHERWISE
            raise Refused(node.lineno, f"{WRITTEN.get(type(node), type(node).__name__)} is not allowed", hint)
        visited: nodes.Node = super().visit(node, *args, **kwargs)
        return visited

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 -- named after the node, as in Jinja2
        self._check_name(node.name, node.lineno)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise Refused(node.lineno, "a recursive loop is not allowed", "Loop within a loop instead", "recursive")
        cost = _cost([*node.body, *([node.test] if node.test is not None else [])])
        self.generic_visit(node)
        node.iter = _ours(" turns", node.iter, nodes.Const(cost, lineno=node.lineno))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        self._check_name(node.name, node.lineno)
        cost = nodes.Const(_cost([*node.body, *node.defaults]) + CALL_STEPS, lineno=node.lineno)
        self.generic_visit(node)  # before its own name is known: a macro calls only those above it
        node.body.insert(0, nodes.ExprStmt(_ours(" called", cost), lineno=node.lineno))
        self._macros.add(node.name)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        if node.dyn_args or node.dyn_kwargs:
            raise Refused(node.lineno, "* and ** are not allowed in a call")
        match node.node:
            case nodes.Name(name="range"):
                made = self._filtered(node, " range", node.args)
            case nodes.Name(name=name) if name in self._macros:
                self.generic_visit(node)
                return node
            case nodes.Getattr(node=nodes.Name(name="loop"), attr="cycle"):
                index = nodes.Getattr(
                    nodes.Name("loop", "load", lineno=node.lineno), "index0", "load", lineno=node.lineno
                )
                made = self._filtered(node, " cycle", [index, *node.args])
            case nodes.Getattr(node=holder, attr=method) if method in METHODS:
                made = self._filtered(node, f".{method}", [holder, *node.args])
                _check_arguments(made, METHODS[method])
            case nodes.Getattr(attr=method):
                raise Refused(node.lineno, f"the method '{method}' is not known", "Use a filter: {{ value|upper }}")
            case nodes.Name(name=name):
                raise Refused(node.lineno, f"'{name}' is no macro that is defined above this line")
            case _:
                raise Refused(node.lineno, "only macros of this template can be called")
        self.generic_visit(made)
        return made

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        if not node.name.startswith((" ", ".")):
            self._check_known(node, "filter", FILTERS)
        self.generic_visit(node)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name == "in" and len(node.args) == 1:
            return self.visit(nodes.Compare(node.node, [nodes.Operand("in", node.args[0])], lineno=node.lineno))
        self._check_known(node, "test", TESTS)
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        rest = [part for operand in node.ops for part in (nodes.Const(operand.op, lineno=node.lineno), operand.expr)]
        return _ours(" compare", node.expr, *rest)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _ours(" concat", *node.nodes)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        if node.attr.startswith("_"):
            raise Refused(node.lineno, f"'{node.attr}' is not allowed: names of data do not begin with _")
        self.generic_visit(node)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        ends = (node.arg.start, node.arg.stop, node.arg.step)
        return _ours(" slice", node.node, *(end or nodes.Const(None, lineno=node.lineno) for end in ends))

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        if node.expr2 is None:
            node.expr2 = nodes.Const("", lineno=node.lineno)
        self.generic_visit(node)
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        if isinstance(node.value, float) and not isfinite(node.value):  # which Jinja2 would write as a name
            raise Refused(node.lineno, "a number is too large")
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        if not isinstance(node.key, nodes.Const):
            raise Refused(node.lineno, "the keys of an object must be written out")
        self.generic_visit(node)
        return node

    def _filtered(self, call: nodes.Call, name: str, args: list[nodes.Expr]) -> nodes.Filter:
        if not args or (name == " cycle" and len(args) < 2):
            raise Refused(call.lineno, f"{name.strip(' .')}() needs an argument")
        return nodes.Filter(args[0], name, args[1:], call.kwargs, None, None, lineno=call.lineno)

    def _check_known(self, node: nodes.Filter | nodes.Test, what: str, known: Mapping[str, Callable[..., Any]]) -> None:
        if node.dyn_args or node.dyn_kwargs:
            raise Refused(node.lineno, f"* and ** are not allowed in a {what}")
        if node.name not in known:
            raise Refused(node.lineno, f"there is no {what} '{node.name}'", _nearest(node.name, what, known), node.name)
        _check_arguments(node, known[node.name])

    def _check_name(self, name: str, line: int) -> None:
        if name in RESERVED or name.startswith("_"):
            raise Refused(line, f"the name '{name}' is not allowed", "Choose another", name)
