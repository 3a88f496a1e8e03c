"""What is the same in every mail of a campaign, worked out once: a newsletter's fifty articles cost its mails nothing.

A piece of the tree is folded into the text that it becomes where it names no other variables than those that all mails have in
common. Left alone is whatever could mean something else elsewhere in the template, or fails: then each mail says so itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jinja2 import Environment, nodes

# Given by each mail, or by the loop around: not the campaign's, whatever its data says.
OWN = frozenset({"subject", "to_email", "to_name", "loop"})
_BINDING = (nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.Call, nodes.ExprStmt)

Rendering = Callable[[nodes.Template], str | None]
"""What a piece becomes with the common variables; None where it cannot be rendered."""


def folded(
    template: nodes.Template, common: frozenset[str], rendering: Rendering, environment: Environment
) -> nodes.Template:
    """The same template, with the pieces that say the same in every mail replaced by their texts.

    Args:
        template: tamed; it is changed.
        common: names of the variables that all mails have in common.
        rendering: renders a piece by itself.
        environment: what the template is parsed in.
    """
    elsewhere = {name.name for name in template.find_all(nodes.Name) if name.ctx != "load"}
    elsewhere |= {macro.name for macro in template.find_all(nodes.Macro)}
    _Folding(common - elsewhere - OWN, rendering).fold(template.body)
    template.set_environment(environment)
    return template


class _Folding:
    """Statement by statement, the largest pieces first."""

    def __init__(self, known: frozenset[str], rendering: Rendering) -> None:
        self._known = known
        self._rendering = rendering

    def fold(self, body: list[nodes.Node]) -> None:
        """Replace in place what can be replaced."""
        for place, node in enumerate(body):
            match node:
                case nodes.Output():
                    node.nodes = [self._output(child) for child in node.nodes]
                case nodes.For() | nodes.If():
                    text = self._text(node)
                    if text is not None:
                        body[place] = nodes.Output([nodes.TemplateData(text, lineno=node.lineno)], lineno=node.lineno)
                    else:
                        self._fold_within(node)
                case nodes.With():
                    self.fold(node.body)
        body[:] = _merged(body)

    def _fold_within(self, node: nodes.For | nodes.If) -> None:
        self.fold(node.body)
        self.fold(node.else_)
        if isinstance(node, nodes.If):
            for other in node.elif_:
                self.fold(other.body)

    def _output(self, child: nodes.Expr) -> nodes.Expr:
        if isinstance(child, nodes.TemplateData):
            return child
        text = self._text(nodes.Output([child], lineno=child.lineno))
        return child if text is None else nodes.TemplateData(text, lineno=child.lineno)

    def _text(self, piece: nodes.Node) -> str | None:
        if any(isinstance(node, _BINDING) for node in _all(piece)) or not _free(piece) <= self._known:
            return None
        return self._rendering(nodes.Template([piece], lineno=piece.lineno))


def _merged(body: list[nodes.Node]) -> Iterator[nodes.Node]:
    """Outputs side by side become one, in which Jinja2 writes texts side by side as one."""
    last: nodes.Node | None = None
    for node in body:
        if isinstance(node, nodes.Output) and isinstance(last, nodes.Output):
            last.nodes += node.nodes
        else:
            yield node
            last = node


def _free(piece: nodes.Node) -> set[str]:
    """Names that a piece takes from outside. What it binds itself is known to be bound nowhere else under another meaning."""
    names = list(piece.find_all(nodes.Name))
    bound = {name.name for name in names if name.ctx != "load"}
    if isinstance(piece, nodes.For) and not any(
        name.name == "loop"
        for part in (piece.iter, *piece.else_)
        for name in _all(part)
        if isinstance(name, nodes.Name)
    ):
        bound.add("loop")
    return {name.name for name in names} - bound


def _all(piece: nodes.Node) -> Iterator[nodes.Node]:
    yield piece
    yield from piece.find_all(nodes.Node)
