"""The code that templates become: Jinja2's, with the two things that a letter does most written out in place."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame


class LetterCode(CodeGenerator):
    """A value is written by one call, and a dot after a name is one look into an object."""

    def write_commons(self) -> None:
        """What each rendering begins with."""
        super().write_commons()
        self.writeline("show = environment.show")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("show(context, ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 -- named after the node, as in Jinja2
        """`item.title`, past a call where the item is an object that has it."""
        if not isinstance(node.node, nodes.Name):
            super().visit_Getattr(node, frame)
            return
        held = frame.symbols.ref(node.node.name)
        self.write(f"({held}[{node.attr!r}] if type({held}) is dict and {node.attr!r} in {held} else ")
        super().visit_Getattr(node, frame)
        self.write(")")
