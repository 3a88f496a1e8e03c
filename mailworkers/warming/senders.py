"""Which warm-up a mail belongs to, by its sender and its destination group; and how that stands today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import ascii_domain

ALL_OTHERS: Final = "*"  # the quota of groups that have none of their own
MOST_REMEMBERED: Final = 10_000  # senders as mails name them, whether warmed up or not; about 2 MB


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota today. `available`: what is not leased, at the last look; below 0 where mails went that do not wait."""

    destination_group: str
    quota: int
    available: int


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A live warm-up today. `seconds_left`: until its date ends. `day` is below 1 before it begins, above `last_day` when it is over."""

    id: int
    sender: str
    status: str
    why: str
    hold_all: bool
    on_date: date
    day: int
    last_day: int
    seconds_left: float
    quotas: Mapping[str, Quota] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether its mails wait for a person."""
        return self.status != "running"

    @property
    def over(self) -> bool:
        """Whether its last day has passed."""
        return self.status == "running" and self.day > self.last_day

    def quota_of(self, destination_group: str) -> Quota:
        """The one quota that a mail to this group counts against."""
        return self.quotas.get(destination_group) or self.quotas[ALL_OTHERS]


class Senders:
    """Looks a mail's warm-up up. What was found is remembered by the sender as mails write it: that is one look for each mail."""

    def __init__(self) -> None:
        self._by_sender: dict[str, WarmUp] = {}
        self._found: dict[str, WarmUp | None] = {}

    def __bool__(self) -> bool:
        return bool(self._by_sender)

    def renew(self, warm_ups: Iterable[WarmUp]) -> None:
        """Take over how they stand now."""
        self._by_sender = {plain(warm_up.sender): warm_up for warm_up in warm_ups if not warm_up.over}
        self._found = {}

    def __iter__(self) -> Any:
        return iter(self._by_sender.values())

    def warm_up_of(self, from_email: str) -> WarmUp | None:
        """The warm-up of an address or of its domain; None where neither is being warmed up."""
        try:
            return self._found[from_email]
        except KeyError:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            address = plain(from_email)
            found = self._by_sender.get(address) or self._by_sender.get(address.rpartition("@")[2])
            self._found[from_email] = found
            return found


def plain(sender: str) -> str:
    """An address or a domain as warm-ups keep it: lower case, the domain as A-labels. What is no such thing stays as it is."""
    local, at, domain = sender.strip().lower().rpartition("@")
    try:
        return f"{local}{at}{ascii_domain(domain)}"
    except ComposeError:
        return f"{local}{at}{domain}"
