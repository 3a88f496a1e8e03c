"""One quota on one date, as this process has it: mails leased and not begun, and what became of those that were; pure.

What is promised: mails that wait for a quota never go beyond it, whoever sends them and whoever dies. Why it holds. The
ledger's `granted` grows before a mail may go, by what is leased, and never passes the quota by that. A mail spends
one of what this process has leased for that date. It gets it back only where the relay certainly did not take it: after a
temporary refusal, or where it was never begun. What is handed back to the ledger is out of hand first. So what went out, and
what may have, is never more than what is granted. A killed daemon hands nothing back: what it had leased counts as used.

A lease is good until its date ends, or for `HOLD_SECONDS` where that is sooner: a daemon that hears nothing from the ledger
sends nothing on yesterday's quota. And it is small, so that a kill costs the day little.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

HOLD_SECONDS: Final = 5.0  # several looks at the ledger; what was not needed by then, others may need
LEASE_SHARE: Final = 50  # a fiftieth of the day's quota at once: what a kill may cost
MOST_LEASED: Final = 200  # mails of one lease; at 7,000 a second that is 35 statements


def lease_size(quota: int) -> int:
    """Mails to lease at once of a day's quota."""
    return max(1, min(MOST_LEASED, quota // LEASE_SHARE))


@dataclass(frozen=True, slots=True, order=True)
class DayKey:
    """A row of `warmup_days`."""

    warmup_id: int
    on_date: date
    destination_group: str


@dataclass(frozen=True, slots=True)
class Account:
    """What the ledger is to be told of one date: counts of mails. `charged` went out without waiting for the quota."""

    key: DayKey
    sent: int
    refused: int
    returned: int
    charged: int


@dataclass(slots=True)
class Day:
    """This process's part of one quota on one date. All times are by the local monotonic clock, in seconds."""

    key: DayKey
    in_hand: int = 0
    good_until: float = 0.0
    _sent: int = 0
    _refused: int = 0
    _returned: int = 0
    _charged: int = 0

    def receive(self, given: int, good_until: float) -> None:
        """A lease of `given` mails, which may be begun until then."""
        self.in_hand += given
        self.good_until = good_until

    def take(self, now: float) -> bool:
        """Begin one mail, if one may be begun."""
        if self.in_hand and now < self.good_until:
            self.in_hand -= 1
            return True
        return False

    def charge(self) -> None:
        """One mail begins that does not wait for the quota, but counts."""
        self._charged += 1

    def not_sent(self, now: float, *, charged: bool = False) -> None:
        """A mail that was begun was certainly not taken by the relay. What was charged is no lease: others may not begin on it."""
        if now < self.good_until and not charged:
            self.in_hand += 1
        else:
            self._returned += 1

    def sent(self) -> None:
        """The relay took a mail."""
        self._sent += 1

    def refused(self) -> None:
        """The relay refused a mail for good, for a reason that a warm-up looks at."""
        self._refused += 1

    @property
    def is_settled(self) -> bool:
        """Whether nothing would be forgotten with it."""
        return not (self.in_hand or self._sent or self._refused or self._returned or self._charged)

    def settle(self, now: float, *, everything: bool = False) -> Account | None:
        """What the ledger is to be told; it is out of hand from here on, whatever becomes of the telling.

        Args:
            now: the moment.
            everything: also what could still be begun.
        """
        if everything or now >= self.good_until:
            self._returned += self.in_hand
            self.in_hand = 0
        if not (self._sent or self._refused or self._returned or self._charged):
            return None
        account = Account(self.key, self._sent, self._refused, self._returned, self._charged)
        self._sent = self._refused = self._returned = self._charged = 0
        return account

    def not_told(self, account: Account) -> None:
        """The telling failed, or its answer was lost. Counts are told again; what was handed back stays used: it may have
        been leased by another since."""
        self._sent += account.sent
        self._refused += account.refused
        self._charged += account.charged
