"""A campaign rendered and composed for all its leads, and sent to none: who would get no mail, and why.

Leads are read in chunks, by id, and the next chunk is on its way while one is rendered, so that memory stays the same whatever
their number. Between slices of a chunk the event loop gets its turn.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailworkers.campaigns.composing import CampaignLetter, Lead
from mailworkers.errors import ComposeError

SLICE_SECONDS: Final = 0.05  # of work in a row; a key or a signal waits no longer
EXAMPLES: Final = 3  # of each reason
MOST_REASONS: Final = 200  # told apart; a letter has a few, hostile data could have any number
OTHERS: Final = "other reasons"
# What differs from lead to lead within one reason.
_VARYING = re.compile(r"(?<=at position )\d+|(?<=has )[\d,]+(?= (?:characters|octets))|U\+[0-9A-F]{4,6}")


@dataclass(frozen=True, slots=True)
class Reject:
    """A lead that would get no mail. `group` is the reason without what differs from lead to lead."""

    lead_id: int
    email: str
    reason: str
    group: str


@dataclass(slots=True)
class Group:
    """Leads that would get no mail for the same reason; a few of them as examples."""

    leads: int = 0
    examples: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class Checked:
    """How far a check is. `share` of the leads, from 0 to 1, is told from their ids; `groups` are by reason."""

    leads: int = 0
    failed: int = 0
    share: float = 0.0
    seconds: float = 0.0
    groups: dict[str, Group] = field(default_factory=dict)

    @property
    def leads_per_second(self) -> float:
        """Since the beginning."""
        return self.leads / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """By what is done; None where nothing is."""
        return self.seconds * (1 - self.share) / self.share if self.share else None

    def by_frequency(self) -> list[tuple[str, Group]]:
        """Reasons and their groups, the most frequent first."""
        return sorted(self.groups.items(), key=lambda one: -one[1].leads)

    def add(self, reject: Reject) -> None:
        """Count a lead that would get no mail."""
        self.failed += 1
        name = reject.group if reject.group in self.groups or len(self.groups) < MOST_REASONS else OTHERS
        group = self.groups.setdefault(name, Group())
        group.leads += 1
        if len(group.examples) < EXAMPLES:
            group.examples.append(reject)


async def check(
    letter: CampaignLetter,
    chunks: AsyncIterator[tuple[Sequence[Lead], float]],
    told: Callable[[Checked], None],
    rejected: Callable[[Reject], None],
) -> Checked:
    """Render and compose the letter for every lead.

    Args:
        letter: the campaign's.
        chunks: of its leads, each with the share of all that is reached with it.
        told: is given how far it is, several times a second. The same object each time.
        rejected: is given each lead that would get no mail, in the order of their ids.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    checked = Checked()
    began = time.monotonic()
    async for leads, share in _ahead(chunks):
        rest = iter(leads)
        done = False
        while not done:
            done = _slice(letter, rest, checked, rejected)
            checked.seconds = time.monotonic() - began
            if done:
                checked.share = share
            told(checked)
            await asyncio.sleep(0)
    checked.share = 1.0
    checked.seconds = time.monotonic() - began
    return checked


def _slice(letter: CampaignLetter, leads: Iterable[Lead], checked: Checked, rejected: Callable[[Reject], None]) -> bool:
    """As many leads as time allows; whether these were the last."""
    until = time.monotonic() + SLICE_SECONDS
    for lead in leads:
        checked.leads += 1
        try:
            letter.check(lead)
        except ComposeError as bad:
            reject = _reject(lead, str(bad))
            checked.add(reject)
            rejected(reject)
        if time.monotonic() > until:
            return False
    return True


def _reject(lead: Lead, reason: str) -> Reject:
    line = " ".join(reason.split())
    return Reject(lead.lead_id, lead.email, line, _VARYING.sub("…", line))


async def _ahead(
    chunks: AsyncIterator[tuple[Sequence[Lead], float]],
) -> AsyncIterator[tuple[Sequence[Lead], float]]:
    """The same, each asked for while the one before is worked on."""
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        while (chunk := await coming) is not None:
            coming = asyncio.ensure_future(anext(chunks, None))
            yield chunk
    finally:
        coming.cancel()
        await asyncio.wait({coming})
