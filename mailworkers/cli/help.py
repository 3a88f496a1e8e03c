"""Help texts: paragraphs from docstrings flow with the terminal's width, examples keep their lines, flags name no type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

EXAMPLE = "[dim]$[/dim]"


def flowing(command: Callable[..., object]) -> str:
    """A command's docstring for rich: each paragraph on one line, but one line for each example."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(_paragraph(text) for text in paragraphs)


def _paragraph(text: str) -> str:
    return text if text.startswith(EXAMPLE) else " ".join(text.split())


class _Command(TyperCommand):
    """Whose flags name no type: they take no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class _Group(TyperGroup):
    """As `_Command`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


def without_flag_types(app: typer.Typer) -> None:
    """Let no command of `app`, or below it, show a type for its flags."""
    app.info.cls = _Group
    for command in app.registered_commands:
        command.cls = _Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            without_flag_types(group.typer_instance)


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    return params
