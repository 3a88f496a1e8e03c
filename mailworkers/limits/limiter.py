"""What the dispatcher asks before every mail, without a query: are there tokens in hand, and if not, when?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from mailworkers.errors import DatabaseError
from mailworkers.limits.bucket import Limit
from mailworkers.limits.hand import Hand
from mailworkers.limits.keys import BucketKey, Limits
from mailworkers.limits.ledger import Ask, Lender

RENEWAL_SHARE = 0.5  # of the time for which a token may be held: the next ones come before the last expire


class Limiter:
    """This process's part of the token buckets: leased in bulk from the ledger, spent mail by mail, handed back if unspent.

    Several keys at once mean that a mail counts against each of those buckets; keys without a limit are passed over.
    While the database cannot be reached, what is in hand can be spent until it expires (`Limit.hold`), then nothing.

    Args:
        ledger: where tokens are leased.
        clock: local and monotonic, in seconds; only for how long tokens are held. All else is by the database's clock.
    """

    def __init__(self, ledger: Lender, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._limits: Limits = {}
        self._renewal = math.inf
        self._hands: dict[BucketKey, Hand] = {}
        self._leasing = asyncio.Lock()  # one lease after the other: lots expire in the order in which they came

    def configure(self, limits: Limits) -> None:
        """Take new limits, also while running. The ledger's buckets follow with the next lease, and gain nothing by it."""
        self._limits = dict(limits)
        self._renewal = min((limit.hold * RENEWAL_SHARE for limit in limits.values()), default=math.inf)
        for key, hand in list(self._hands.items()):
            limit = self._limit(key)
            if limit is None:
                del self._hands[key]
            else:
                hand.limit = limit
                hand.ready_at = 0.0

    def available(self, *keys: BucketKey) -> float:
        """Mails that can be sent now with tokens of all `keys`: an integer, or infinity where none of them has a limit."""
        if not self._limits:
            return math.inf
        now = self._clock()
        return min((self._count(key, now) for key in keys), default=math.inf)

    def allows(self, *keys: BucketKey) -> bool:
        """Whether one mail can be sent now with tokens of all `keys`."""
        if not self._limits:
            return True
        now = self._clock()
        for key in keys:
            hand = self._hands.get(key)
            if hand is not None:
                if not hand.holds(1, now):
                    return False
            elif self._limit(key) is not None:
                return False
        return True

    def runs_low(self, key: BucketKey, n: int) -> bool:
        """Whether less than half of `n` tokens will be in hand at the next renewal, even if none is spent until then.

        To ask for no others keeps the statement short: most buckets need new tokens far less often than the fastest one.
        """
        if self._limit(key) is None:
            return False
        hand = self._hands.get(key)
        return hand is None or 2 * hand.lasting(self._clock() + self._renewal) < n

    @property
    def renewal(self) -> float:
        """Seconds between two `replenish` that keep tokens in hand while there is work; infinity where nothing is limited."""
        return self._renewal

    def take(self, *keys: BucketKey, n: int = 1) -> bool:
        """Spend `n` tokens of each of `keys`, or none of any. Call it when the mail goes out, not before: the bound is on this."""
        if not self._limits:
            return True
        now = self._clock()
        hands = []
        for key in keys:
            hand = self._hands.get(key)
            if hand is not None:
                if not hand.holds(n, now):
                    return False
                hands.append(hand)
            elif self._limit(key) is not None:
                return False
        for hand in hands:
            hand.spend(n)
        return True

    def give_back(self, *keys: BucketKey, n: int = 1) -> None:
        """What was just taken will not be sent: it goes back to the ledger with the next `replenish`.

        Call it in the same breath as `take` (within `Limit.hold`). A token that has been out for longer may have been passed on
        to the relay for all the ledger knows, and stays spent.
        """
        now = self._clock()
        for key in keys:
            hand = self._hands.get(key)
            if hand is not None:
                hand.unspend(n, now)

    async def replenish(self, wanted: Mapping[BucketKey, int]) -> None:
        """Lease in one statement what is missing to have `wanted` in hand, and hand back what has expired.

        Nothing happens where no key has a limit and nothing is to be handed back, so it can be called in every round. Call it
        with nothing wanted when there is no more work: other daemons can use what is handed back.

        Args:
            wanted: tokens to have in hand, by key; they expire soon, so no more than can be used at once.

        Raises:
            DatabaseUnavailable: what the lease might have granted is lost, and what is in hand stays.
            DatabaseRefused: a person must act.
        """
        if not self._limits:
            return
        async with self._leasing:
            await self._replenish(wanted)

    async def _replenish(self, wanted: Mapping[BucketKey, int]) -> None:
        now = self._clock()
        lacking = self._lacking(wanted, now)
        asks = self._asks(lacking, now)
        if not asks:
            return
        grants = await self._ledger.lease(asks)
        answered = self._clock()
        for grant in grants:
            hand = self._hands.get(grant.key)
            if hand is None:  # its limit was taken away meanwhile
                continue
            hand.receive(grant.tokens, now, grant.at)
            if grant.tokens < lacking.get(grant.key, 0):
                hand.pause(grant.left, answered)

    def wait(self, *keys: BucketKey) -> float:
        """Seconds until asking the ledger is worth while; 0 where tokens are in hand, no limit applies, or nobody asked yet."""
        if not self._limits:
            return 0.0
        now = self._clock()
        hands = [self._hands[key] for key in keys if key in self._hands]
        return max([0.0, *(hand.ready_at - now for hand in hands if not hand.count(now))])

    async def close(self) -> None:
        """Hand back everything unspent. Where the database cannot be reached it is lost, which is safe."""
        asks = self._asks({}, self._clock(), everything=True)
        self._hands.clear()
        if asks:
            try:
                await self._ledger.lease(asks)
            except DatabaseError:
                return

    def _limit(self, key: BucketKey) -> Limit | None:
        return self._limits.get((key.scope, key.period))

    def _count(self, key: BucketKey, now: float) -> float:
        hand = self._hands.get(key)
        if hand is not None:
            return hand.count(now)
        return math.inf if self._limit(key) is None else 0

    def _lacking(self, wanted: Mapping[BucketKey, int], now: float) -> dict[BucketKey, int]:
        lacking = {}
        for key, n in wanted.items():
            limit = self._limit(key)
            if limit is None:
                continue
            hand = self._hands.setdefault(key, Hand(limit))
            missing = n - hand.count(now)
            if missing > 0 and hand.ready_at <= now:
                lacking[key] = missing
        return lacking

    def _asks(self, lacking: Mapping[BucketKey, int], now: float, everything: bool = False) -> list[Ask]:
        asks = []
        for key, hand in list(self._hands.items()):
            unspent = hand.handing_back(now, everything)
            missing = lacking.get(key, 0)
            if unspent is not None:
                asks.append(Ask(key, hand.limit, missing, unspent.tokens, unspent.leased_at))
            elif missing:
                asks.append(Ask(key, hand.limit, missing))
            elif hand.idle(now):
                del self._hands[key]
        return asks
