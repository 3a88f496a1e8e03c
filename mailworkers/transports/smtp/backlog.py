"""The mails that a session has: those under way, and the line behind them."""

from __future__ import annotations

from collections import deque

from mailworkers.replies import Outcome, Rejected, RelayDown
from mailworkers.transports.smtp.transaction import Transaction


class Backlog:
    """Unfinished mails in the order of submission. Nothing has left of those in line: they can be taken back without a doubt.

    Args:
        window: how many may be under way at once.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.octets = 0
        self._mails: deque[Transaction] = deque()
        self._line: deque[Transaction] = deque()
        self._underway = 0

    def __len__(self) -> int:
        return len(self._mails)

    @property
    def head(self) -> Transaction | None:
        """The mail that ends next."""
        return self._mails[0] if self._mails else None

    @property
    def in_line(self) -> int:
        """Mails of which nothing has left."""
        return len(self._line)

    @property
    def has_turn(self) -> bool:
        """Whether a mail stands in line and the window has room for it."""
        return bool(self._line) and self._underway < self.window

    @property
    def deadline(self) -> float:
        """The earliest of the mails that are not settled; one at least is under way."""
        return min(mail.deadline for mail in self._mails if mail.settled is None)

    def add(self, transaction: Transaction) -> None:
        """Put it at the end; one that is settled only waits for those before it."""
        self._mails.append(transaction)
        self.octets += transaction.size
        if transaction.settled is None:
            self._line.append(transaction)

    def begin(self) -> Transaction:
        """The first of the line is under way from now on."""
        transaction = self._line.popleft()
        transaction.begun = True
        self._underway += 1
        return transaction

    def end(self) -> Transaction:
        """The head has ended."""
        head = self._mails.popleft()
        if self._line and self._line[0] is head:
            self._line.popleft()
        self.octets -= head.size
        self._underway -= head.begun
        head.done = True
        head.prepared = None
        return head

    def recall(self, why: str, before: float | None = None) -> None:
        """Take the line back, or those whose deadline is not after `before`: they end in their turn, as not begun."""
        for mail in list(self._line):
            if before is None or mail.deadline <= before:
                self._line.remove(mail)
                mail.settled = mail.interrupted(why, closing=True)


def holds_up_the_line(outcome: Outcome) -> bool:
    """Whether what became of a mail must be heeded before further ones leave: they could fail by it for good. To a relay that
    asks for less the few in line cost nothing, and what it answers to them is what the rate is learned from."""
    return isinstance(outcome, RelayDown) or (isinstance(outcome, Rejected) and outcome.policy)
