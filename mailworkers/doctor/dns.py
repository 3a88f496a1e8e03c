"""Asking DNS for TXT records, bounded in time. "Could not ask" is told apart from "there is none"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from mailworkers.destinations.exchanges import NotAnswered

QUESTION_SECONDS = 4.0  # all tries of one question together


class TxtRecords(Protocol):
    """Anything that can look up TXT records."""

    async def txt(self, name: str) -> list[str] | None:
        """The records of `name`, each joined to one string; empty where it has none, None where there is no such name.

        Raises:
            NotAnswered: nobody could be asked.
        """


class Resolver:
    """Asks the system's name servers, or given ones.

    Args:
        nameservers: (address, port) pairs instead of the system's.
        seconds: for one question with all its tries.
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), seconds: float = QUESTION_SECONDS) -> None:
        self._given = nameservers
        self._seconds = seconds

    async def txt(self, name: str) -> list[str] | None:
        """As `TxtRecords.txt`."""
        try:
            answer = await self._resolver().resolve(name, "TXT", lifetime=self._seconds, search=False)
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, OSError) as problem:
            raise NotAnswered(f"{type(problem).__name__} for {name}") from None
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]

    def _resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=not self._given)
        if self._given:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._given]
        resolver.timeout = self._seconds / 2
        return resolver
