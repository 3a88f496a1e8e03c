"""What the dispatcher asks before every mail, without a query: are there tokens in hand, and if not, when?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping

from mailworkers.errors import DatabaseError
from mailworkers.limits.bucket import Limit
from mailworkers.limits.hand import Hand
from mailworkers.limits.keys import OTHERS, SYSTEM_NAME, BucketKey, Limits, NamedLimits, Scope, lane_name
from mailworkers.limits.ledger import Ask, Lender
from mailworkers.limits.purse import Purse

MOST_KEYS = 10_000  # worked out and kept, of workspaces and lanes
RENEWAL_SHARE = 0.5  # of the time for which a token may be held: the next ones come before the last expire


class Limiter:
    """This process's part of the token buckets: leased in bulk from the ledger, spent mail by mail, handed back if unspent.

    Several keys at once mean that a mail counts against each of those buckets; keys without a limit are passed over.
    While the database cannot be reached, what is in hand can be spent until it expires (`Limit.hold`), then nothing.

    Args:
        ledger: where tokens are leased.
        clock: local and monotonic, in seconds; only for how long tokens are held. All else is by the database's clock.
        provider: the relay's name, under which its limit is set.
    """

    def __init__(self, ledger: Lender, clock: Callable[[], float] = time.monotonic, provider: str = "") -> None:
        self._ledger = ledger
        self._provider = provider
        self.clock = clock
        self._limits: Limits = {}
        self._named: NamedLimits = {}
        self._keys: dict[tuple[Scope, str], tuple[BucketKey, ...]] = {}
        self.configured = 0  # counts the times that limits were taken: then other keys may be in use
        self.limited = False  # whether anything is
        self.generation = 0  # counts what makes hands begin or end, so that purses look for theirs again
        self._renewal = math.inf
        self._hands: dict[BucketKey, Hand] = {}
        self._leasing = asyncio.Lock()  # one lease after the other: lots expire in the order in which they came

    def configure(self, limits: Limits, named: NamedLimits | None = None) -> None:
        """Take new limits, also while running. The ledger's buckets follow with the next lease, and gain nothing by it.

        Args:
            limits: for each of a scope.
            named: of those that have one of their own.
        """
        self._limits, self._named = dict(limits), dict(named or {})
        self.limited = bool(self._limits or self._named)
        self._keys.clear()
        self.configured += 1
        self.generation += 1
        own = [one[1] for one in self._named.values() if one is not None]
        self._renewal = min((limit.hold * RENEWAL_SHARE for limit in (*limits.values(), *own)), default=math.inf)
        for key, hand in list(self._hands.items()):
            limit = self._limit(key)
            if limit is None:
                del self._hands[key]
            else:
                hand.limit = limit
                hand.ready_at = 0.0

    def keys_of(self, scope: Scope, name: str) -> tuple[BucketKey, ...]:
        """The buckets that one of a scope draws from; most often none. Worked out once."""
        keys = self._keys.get((scope, name))
        if keys is None:
            if len(self._keys) >= MOST_KEYS:
                self._keys.clear()
            keys = self._keys[scope, name] = self._work_out_keys(scope, name)
        return keys

    def common_keys(self) -> tuple[BucketKey, ...]:
        """The buckets that every mail draws from: the system's and the relay's."""
        return self.keys_of(Scope.SYSTEM, SYSTEM_NAME) + self.keys_of(Scope.PROVIDER, self._provider)

    def lane_keys(self, workspace: str, group: str) -> tuple[BucketKey, ...]:
        """The buckets that the mails of one lane draw from, beside those of all mails."""
        return (
            self.keys_of(Scope.WORKSPACE, workspace)
            + self.keys_of(Scope.DESTINATION, group or OTHERS)
            + self.keys_of(Scope.LANE, lane_name(workspace, group))
        )

    def purse(self, *keys: BucketKey) -> Purse:
        """What a mail is paid from that counts against all `keys`; made once for many mails."""
        return Purse(self, tuple(keys))

    def hands_of(self, keys: Iterable[BucketKey]) -> tuple[Hand, ...]:
        """Those of the keys that have a limit; made where there are none."""
        hands = []
        for key in keys:
            limit = self._limit(key)
            if limit is not None:
                hands.append(self._hands.get(key) or self._made(key, limit))
        return tuple(hands)

    def available(self, *keys: BucketKey) -> float:
        """Mails that can be sent now with tokens of all `keys`: an integer, or infinity where none of them has a limit."""
        if not self.limited:
            return math.inf
        now = self.clock()
        return min((self._count(key, now) for key in keys), default=math.inf)

    def allows(self, *keys: BucketKey) -> bool:
        """Whether one mail can be sent now with tokens of all `keys`."""
        if not self.limited:
            return True
        now = self.clock()
        for key in keys:
            hand = self._hands.get(key)
            if hand is not None:
                if not hand.holds(1, now):
                    return False
            elif self._limit(key) is not None:
                return False
        return True

    def runs_low(self, key: BucketKey, n: int) -> bool:
        """Whether less than `n` tokens will be in hand at the next renewal, even if none is spent until then.

        To ask for no others keeps the statement short: most buckets need new tokens far less often than the fastest one.
        """
        if self._limit(key) is None:
            return False
        hand = self._hands.get(key)
        return hand is None or hand.lasting(self.clock() + self._renewal) < n

    @property
    def renewal(self) -> float:
        """Seconds between two `replenish` that keep tokens in hand while there is work; infinity where nothing is limited."""
        return self._renewal

    def take(self, *keys: BucketKey, n: int = 1) -> bool:
        """Spend `n` tokens of each of `keys`, or none of any. Call it when the mail goes out, not before: the bound is on this."""
        if not self.limited:
            return True
        now = self.clock()
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

    def give_back(self, *keys: BucketKey, taken_at: float, n: int = 1) -> None:
        """What was taken will not be sent: it goes back to the ledger with the next `replenish`.

        Args:
            keys: as they were taken.
            taken_at: when, by the local clock. What has been out for longer than `Limit.hold` stays spent: it is not known any
                more which lease it came from, and to count it as of a later one would let too many go.
            n: how many of each.
        """
        now = self.clock()
        for key in keys:
            hand = self._hands.get(key)
            if hand is not None and now - taken_at < hand.limit.hold:
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
        if not self.limited:
            return
        async with self._leasing:
            await self._replenish(wanted)

    async def _replenish(self, wanted: Mapping[BucketKey, int]) -> None:
        now = self.clock()
        lacking = self._lacking(wanted, now)
        asks = self._asks(lacking, now)
        if not asks:
            return
        grants = await self._ledger.lease(asks)
        answered = self.clock()
        for grant in grants:
            hand = self._hands.get(grant.key)
            if hand is None:  # its limit was taken away meanwhile
                continue
            hand.receive(grant.tokens, now, grant.at)
            if grant.tokens < lacking.get(grant.key, 0):
                hand.pause(grant.left, answered)

    def wait(self, *keys: BucketKey) -> float:
        """Seconds until asking the ledger is worth while; 0 where tokens are in hand, no limit applies, or nobody asked yet."""
        if not self.limited:
            return 0.0
        now = self.clock()
        hands = [self._hands[key] for key in keys if key in self._hands]
        return max([0.0, *(hand.ready_at - now for hand in hands if not hand.count(now))])

    async def close(self) -> None:
        """Hand back everything unspent. Where the database cannot be reached it is lost, which is safe."""
        asks = self._asks({}, self.clock(), everything=True)
        self._hands.clear()
        self.generation += 1
        if asks:
            try:
                await self._ledger.lease(asks)
            except DatabaseError:
                return

    def _work_out_keys(self, scope: Scope, name: str) -> tuple[BucketKey, ...]:
        if (scope, name) in self._named:
            own = self._named[scope, name]
            return () if own is None else (BucketKey(scope, name, own[0]),)
        return tuple(BucketKey(scope, name, period) for whose, period in self._limits if whose is scope)

    def _limit(self, key: BucketKey) -> Limit | None:
        if self._named and (key.scope, key.name) in self._named:
            own = self._named[key.scope, key.name]
            return own[1] if own is not None and own[0] == key.period else None
        return self._limits.get((key.scope, key.period))

    def _made(self, key: BucketKey, limit: Limit) -> Hand:
        hand = self._hands[key] = Hand(limit)
        return hand

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
            hand = self._hands.get(key) or self._made(key, limit)
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
                self.generation += 1
        return asks
