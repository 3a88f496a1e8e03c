"""What is asked of DNS: a domain's mail exchanges. Apart from who asks, whose library takes long to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class NotAnswered(Exception):
    """No name server gave an answer, so nothing is known; the message says why."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One MX record: lower preferences are tried first (RFC 5321 §5.1)."""

    preference: int
    host: str


class MxRecords(Protocol):
    """Anything that can look up mail exchanges."""

    async def exchanges(self, domain: str) -> list[Exchange]:
        """The domain's exchanges, the best first; empty where it has none, or says that it takes no mail (RFC 7505).

        Raises:
            NotAnswered: nobody could be asked.
        """
