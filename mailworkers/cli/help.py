"""Help texts from docstrings: paragraphs flow with the terminal's width, examples keep their lines."""

from __future__ import annotations

import inspect
from collections.abc import Callable

EXAMPLE = "[dim]$[/dim]"


def flowing(command: Callable[..., object]) -> str:
    """A command's docstring for rich: each paragraph on one line, but one line for each example."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(_paragraph(text) for text in paragraphs)


def _paragraph(text: str) -> str:
    return text if text.startswith(EXAMPLE) else " ".join(text.split())
