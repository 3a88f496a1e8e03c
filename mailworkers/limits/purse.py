"""What one kind of mail is paid from: the hands of all buckets that it counts against, found once and not for every mail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mailworkers.limits.hand import Hand, Lot
from mailworkers.limits.keys import BucketKey


class Holder(Protocol):
    """Who has the hands: `mailworkers.limits.limiter.Limiter`."""

    generation: int

    def clock(self) -> float:
        """Now, as tokens expire by it."""

    def hands_of(self, keys: Iterable[BucketKey]) -> tuple[Hand, ...]:
        """Those of the keys that have a limit."""


class Purse:
    """Pays for single mails. Where nothing is limited, it reads no clock and looks nothing up."""

    __slots__ = ("_generation", "_hands", "_holder", "_keys")

    def __init__(self, holder: Holder, keys: tuple[BucketKey, ...]) -> None:
        self._holder = holder
        self._keys = keys
        self._hands: tuple[Hand, ...] = ()
        self._generation = -1

    def pay(self) -> bool:
        """Spend one token of each bucket, or none of any. Call it when the mail goes out, not before: the bound is on this."""
        lots = self._lots()
        if lots is None:
            return False
        for lot in lots:
            lot.tokens -= 1
            lot.spent += 1
        return True

    def holds(self) -> bool:
        """Whether `pay` would."""
        return self._lots() is not None

    def _lots(self) -> list[Lot] | tuple[()] | None:
        holder = self._holder
        if holder.generation != self._generation:
            self._hands = holder.hands_of(self._keys)
            self._generation = holder.generation
        if not self._hands:
            return ()
        now = holder.clock()
        lots = []
        for hand in self._hands:
            # Nearly always the oldest lot has a token, and a call less for each of four buckets is worth a line.
            lot = hand.lots[0] if hand.lots else None
            if lot is None or not lot.tokens or lot.expires <= now:
                lot = hand.lot(now)
                if lot is None:
                    return None
            lots.append(lot)
        return lots
