"""Empty lines of a text that loops and conditions leave behind."""

from __future__ import annotations

import re

_TOO_MANY = re.compile(r"\n{3,}")


def without_empty_lines(text: str) -> str:
    """At most one empty line at a time, and none around the text."""
    return (_TOO_MANY.sub("\n\n", text) if "\n\n\n" in text else text).strip("\n") + "\n"
