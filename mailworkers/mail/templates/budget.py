"""What one mail may cost: every part of it draws on the same steps.

A step is about one node of the template evaluated once, or `CHARS_PER_STEP` characters handled. A loop pays for all its
turns when it begins, a macro when it is called, a filter before it works. Measured: 100,000 steps take 10 to 60 ms on a
current machine, whatever they are spent on, so that one of a quarter of its speed stays below 250 ms.
"""

from __future__ import annotations

from typing import Any

from jinja2.runtime import Context
from jinja2.utils import missing

from mailworkers.errors import TemplateError

STEPS = 100_000  # a newsletter of 50 articles takes 1,500
CHARS_PER_STEP = 32  # copying is a hundred times as fast; escaping the worst text is what sets it
MAX_RENDERED_CHARS = 2 * 1024 * 1024  # of one part; twenty times what Gmail shows before it cuts


class Variables(dict[str, Any]):
    """The variables of one mail. What is not there is Jinja2's mark for that, found without a call of Python's."""

    def __missing__(self, name: str) -> Any:
        return missing


class BudgetedContext(Context):
    """One part's view of the variables, and the steps that are left to the mail.

    Args:
        environment: of the part.
        variables: of the mail.
        left: steps.
    """

    def __init__(
        self, environment: Any, variables: Variables, left: int
    ) -> None:  # not Jinja2's, which does this and more
        self.environment = environment
        self.parent = variables
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()
        self.eval_ctx = environment.eval_context
        self.name = None
        self.blocks = {}
        self.left = left
        self.resolve_or_missing = variables.__getitem__  # type: ignore[method-assign, assignment]

    def spend(self, steps: int) -> None:
        """Pay before the work is done.

        Raises:
            TemplateError: there is not that much left.
        """
        self.left -= steps
        if self.left < 0:
            raise TemplateError(
                f"it takes more than {STEPS:,} steps for one mail",
                "Shorten its loops, or the lists and texts in data",
            )

    def spend_chars(self, chars: int) -> None:
        """Pay for handling so many characters. Raises as `spend`."""
        self.spend(chars // CHARS_PER_STEP + 1)
