"""Variables that the data does not have.

Both kinds are false in a condition, are not `defined`, take a `default`, and hand themselves on through further dots, so
that `{% if lead.address.city %}` works whichever of the three is missing. Only using one as a value tells them apart.
"""

from __future__ import annotations

from typing import Any, NoReturn

from jinja2 import Undefined

from mailworkers.errors import TemplateError


class StrictMissing(Undefined):
    """An error wherever it is used as a value."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Say which variable is missing.

        Raises:
            TemplateError: always.
        """
        raise absence(self)

    __str__ = __len__ = __iter__ = __eq__ = __ne__ = __hash__ = __contains__ = refuse


class BlankMissing(StrictMissing):
    """An empty text wherever it is shown, looped over or filtered."""

    __slots__ = ()

    def __str__(self) -> str:  # type: ignore[override]
        return ""


def absence(value: Undefined) -> TemplateError:
    """What there is to say about a missing variable."""
    if value._undefined_hint:  # noqa: SLF001 -- the documented way to a subclass's own messages
        return TemplateError(value._undefined_hint)  # noqa: SLF001
    name = value._undefined_name  # noqa: SLF001
    return TemplateError(
        f'the variable "{name}" is missing',
        f"Give it in data, write {{{{ {name}|default('…') }}}}, or save the template with --missing blank",
    )


def nullness() -> TemplateError:
    """What there is to say about a null."""
    return TemplateError(
        "a variable is null",
        "Give it a value, write {{ …|default('…') }}, or save the template with --missing blank",
    )
