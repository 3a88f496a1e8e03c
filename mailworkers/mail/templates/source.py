"""One version of a stored template, as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_SOURCE_CHARS = 256 * 1024  # a part; the largest letters of the trade stay near 100 KB, where Gmail cuts them off


class Missing(StrEnum):
    """What becomes of a variable that the data does not have."""

    ERROR = "error"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A version never changes. `text_body` None: the text part is made from the HTML; `html_body` None: there is none.

    `version` counts from 1; 0 is one that is not stored.
    """

    name: str
    version: int
    subject: str
    text_body: str | None = None
    html_body: str | None = None
    missing: Missing = Missing.ERROR

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def chars(self) -> int:
        """Of all its parts together."""
        return len(self.subject) + len(self.text_body or "") + len(self.html_body or "")
