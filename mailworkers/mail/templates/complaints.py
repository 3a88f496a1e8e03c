"""Where in which template something is wrong: one line for the record, and the line of the source for a screen."""

from __future__ import annotations

import re
from types import TracebackType

from jinja2 import Template

from mailworkers.errors import TemplateError

MOST_CHARS = 300  # of another's message; the record keeps one line a job
EXCERPT_CHARS = 120  # of a source line that is shown; longer ones are cut around the place
_QUOTED = re.compile(r"'([^'\s]+)'")
_UNCLOSED = re.compile(r"\{\{(?:(?!\}\}|\{\{|\{%).)*+(?=\{\{|\{%|\Z)", re.DOTALL)
_TAG = re.compile(r"\{[{%#]")


def complaint(where: str, line: int, message: str, hint: str = "", source: str = "", near: str = "") -> TemplateError:
    """An error with its place.

    Args:
        where: the template and its part, such as `template "welcome@3", html`.
        line: of that part, from 1; 0 where it is not known.
        message: what is wrong.
        hint: what to do.
        source: of the part, for the excerpt.
        near: what to look for in the line; by default the last word that the message quotes.
    """
    place = f"{where} line {line}" if line else where
    said = " ".join(message.split()).rstrip(".")[:MOST_CHARS]
    return TemplateError(f"{place}: {said}", hint, _excerpt(source, line, near or _quoted(said)))


def unclosed(source: str) -> int:
    """The line of the first expression that another tag or the end comes before its }}; 0 where all are closed."""
    found = _UNCLOSED.search(source)
    return source.count("\n", 0, found.start()) + 1 if found else 0


def line_of(template: Template, trace: TracebackType | None) -> int:
    """The line of the template in which an error arose; the innermost, where macros call each other."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == template.filename:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _quoted(message: str) -> str:
    found = _QUOTED.findall(message)
    return found[-1] if found else ""


def _excerpt(source: str, line: int, near: str) -> str:
    lines = source.split("\n")
    if not 1 <= line <= len(lines):
        return ""
    shown = lines[line - 1].rstrip().replace("\t", " ")
    column = shown.find(near) if near else -1
    if column < 0:
        tag = _TAG.search(shown)
        column = tag.start() if tag else len(shown) - len(shown.lstrip())
    cut = max(0, column - EXCERPT_CHARS // 2)
    return f"{shown[cut : cut + EXCERPT_CHARS]}\n{' ' * (column - cut)}^"
