"""What the dispatcher sees of the limits: tokens in hand, tokens spent, and when to ask again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from mailworkers.errors import DatabaseUnavailable
from mailworkers.limits.bucket import Bucket, Limit
from mailworkers.limits.keys import BucketKey, Limits, Period, Scope, worker_keys
from mailworkers.limits.ledger import Ask, Grant
from mailworkers.limits.limiter import Limiter

MINUTE, HOUR = worker_keys("host#1/1")
FREE = BucketKey(Scope.WORKSPACE, "acme", Period.MINUTE)
LIMITS: Limits = {(Scope.WORKER, Period.MINUTE): Limit(100, 60.0), (Scope.WORKER, Period.HOUR): Limit(1000, 3600.0)}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Table:
    """A ledger in memory, and the clock of everything."""

    now: float = 100.0
    reachable: bool = True
    statements: list[list[Ask]] = field(default_factory=list)
    buckets: dict[BucketKey, Bucket] = field(default_factory=dict)
    answering: asyncio.Event | None = None

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        self.statements.append(list(asks))
        if not self.reachable:
            raise DatabaseUnavailable("the database is away")
        grants = [self._lease(ask) for ask in asks]
        if self.answering is not None:
            await self.answering.wait()
        return grants

    def _lease(self, ask: Ask) -> Grant:
        at = BEGIN + timedelta(seconds=self.now)
        bucket = self.buckets.get(ask.key) or Bucket.full(ask.limit, at)
        after, granted = bucket.leased(ask.limit, at, ask.wanted, ask.returned, ask.returned_from)
        self.buckets[ask.key] = after
        return Grant(ask.key, granted, after.tokens, at)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def limiter(table: Table) -> Limiter:
    made = Limiter(table, lambda: table.now)
    made.configure(LIMITS)
    return made


async def test_without_limits_nothing_is_asked_and_everything_may_go(table: Table) -> None:
    limiter = Limiter(table, lambda: table.now)
    assert limiter.available(MINUTE, HOUR, FREE) == math.inf
    assert limiter.take(MINUTE, HOUR, FREE, n=10_000)
    limiter.give_back(MINUTE, taken_at=table.now)
    assert limiter.wait(MINUTE) == 0
    await limiter.replenish({MINUTE: 10})
    await limiter.close()
    assert table.statements == []


async def test_a_key_without_a_limit_is_passed_over(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({FREE: 10})
    assert limiter.available(FREE) == math.inf
    assert limiter.available() == math.inf
    assert limiter.take(FREE)
    assert table.statements == []


async def test_before_the_first_lease_nothing_is_in_hand(limiter: Limiter) -> None:
    assert limiter.available(MINUTE, HOUR) == 0
    assert not limiter.take(MINUTE, HOUR)
    assert limiter.wait(MINUTE, HOUR) == 0  # asking is worth while at once


async def test_one_statement_leases_for_all_keys(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({MINUTE: 3, HOUR: 20, FREE: 9})
    assert len(table.statements) == 1
    assert limiter.available(MINUTE) == 3
    assert limiter.available(HOUR) == 20
    assert limiter.available(MINUTE, HOUR, FREE) == 3


async def test_taking_is_all_or_nothing(limiter: Limiter) -> None:
    await limiter.replenish({MINUTE: 2, HOUR: 5})
    assert not limiter.take(MINUTE, HOUR, n=3)
    assert limiter.available(HOUR) == 5
    assert limiter.take(HOUR, MINUTE, FREE, n=2)
    assert (limiter.available(MINUTE), limiter.available(HOUR)) == (0, 3)


async def test_allowing_one_mail_is_having_a_token_of_every_key(limiter: Limiter, table: Table) -> None:
    assert not limiter.allows(MINUTE, HOUR)
    await limiter.replenish({MINUTE: 1, HOUR: 1})
    table.now += 0.5
    await limiter.replenish({MINUTE: 2, HOUR: 2})
    assert limiter.allows(MINUTE, HOUR, FREE)
    assert limiter.take(MINUTE, n=2)  # of two lots
    assert not limiter.allows(MINUTE, HOUR)
    assert limiter.allows(HOUR, FREE)
    table.now += 0.6  # the first lot of the hour is too old by now
    assert limiter.allows(HOUR)
    table.now += 0.5
    assert not limiter.allows(HOUR)


async def test_tokens_are_renewed_before_the_first_expire(limiter: Limiter, table: Table) -> None:
    fastest = min(limit.hold for limit in LIMITS.values())
    assert 0 < limiter.renewal < fastest
    limiter.configure({})
    assert limiter.renewal == math.inf
    assert limiter.allows(MINUTE, HOUR)


async def test_a_bucket_runs_low_before_it_is_empty_or_too_old(limiter: Limiter, table: Table) -> None:
    assert limiter.runs_low(HOUR, 5)  # nothing was leased yet
    assert not limiter.runs_low(FREE, 5)
    await limiter.replenish({HOUR: 10})
    assert not limiter.runs_low(HOUR, 5)
    limiter.take(HOUR, n=5)
    assert not limiter.runs_low(HOUR, 5)
    limiter.take(HOUR)
    assert limiter.runs_low(HOUR, 5)
    await limiter.replenish({HOUR: 10})
    assert not limiter.runs_low(HOUR, 5)
    table.now += limiter.renewal + 0.01  # at the renewal after this one they will be too old
    assert limiter.runs_low(HOUR, 5)


async def test_only_what_is_missing_is_leased(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({HOUR: 10})
    limiter.take(HOUR, n=4)
    await limiter.replenish({HOUR: 10})
    await limiter.replenish({HOUR: 10})
    assert [ask.wanted for asks in table.statements for ask in asks] == [10, 4]


async def test_tokens_expire_and_are_handed_back_with_the_next_lease(limiter: Limiter, table: Table) -> None:
    # given tokens that nobody spent for as long as they may be held
    await limiter.replenish({HOUR: 30})
    table.now += 1.0
    assert limiter.available(HOUR) == 0
    # when there is still something to send
    await limiter.replenish({HOUR: 5})
    # then they went back in the same statement
    (ask,) = table.statements[-1]
    assert (ask.wanted, ask.returned) == (5, 30)
    assert limiter.available(HOUR) == 5


async def test_going_idle_hands_back_what_has_expired(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({HOUR: 30})
    table.now += 1.0
    await limiter.replenish({})
    (ask,) = table.statements[-1]
    assert (ask.wanted, ask.returned) == (0, 30)
    # and then there is nothing more to say, nor to remember
    table.now += 2.0
    await limiter.replenish({})
    assert len(table.statements) == 2
    assert limiter._hands == {}


async def test_tokens_expire_from_when_the_lease_was_sent(limiter: Limiter, table: Table) -> None:
    # given a lease whose answer takes longer than tokens may be held
    table.answering = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(limiter.replenish({HOUR: 5}))
        await asyncio.sleep(0)
        table.now += 1.5
        table.answering.set()
    # then they may not be spent any more
    assert limiter.available(HOUR) == 0


async def test_what_was_taken_and_not_sent_goes_back(limiter: Limiter, table: Table) -> None:
    # given the last token of a bucket, taken and given back
    table.buckets[HOUR] = Bucket(1, 50, 0.25, BEGIN + timedelta(seconds=table.now))
    await limiter.replenish({HOUR: 3})
    assert limiter.take(HOUR)
    assert limiter.wait(HOUR) > 0
    limiter.give_back(HOUR, MINUTE, FREE, taken_at=table.now)
    # then asking is worth while at once, and it is there again
    assert limiter.wait(HOUR) == 0
    await limiter.replenish({HOUR: 3})
    assert limiter.available(HOUR) == 1


async def test_what_is_given_back_counts_from_the_oldest_lease_it_may_come_from(limiter: Limiter, table: Table) -> None:
    # given two leases, of which the first is used up
    await limiter.replenish({HOUR: 1})
    first = table.now
    table.now += 0.5
    await limiter.replenish({HOUR: 4})
    assert limiter.take(HOUR, n=2)
    assert limiter.available(HOUR) == 2
    # when one is given back
    limiter.give_back(HOUR, taken_at=table.now)
    await limiter.replenish({})
    # then it counts as one of the first
    (ask,) = table.statements[-1]
    assert (ask.returned, ask.returned_from) == (1, BEGIN + timedelta(seconds=first))


async def test_a_token_given_back_far_too_late_stays_spent(limiter: Limiter, table: Table) -> None:
    # given tokens that were taken long ago, and as many of a later lease that were spent just now
    await limiter.replenish({HOUR: 5})
    limiter.take(HOUR, n=5)
    began = table.now
    table.now += 60
    await limiter.replenish({HOUR: 5})
    limiter.take(HOUR, n=5)
    # when the first come back, then nothing of the later lease does in their place
    limiter.give_back(HOUR, taken_at=began, n=5)
    await limiter.replenish({})
    assert len(table.statements) == 2


async def test_nothing_is_given_back_that_was_never_taken(limiter: Limiter, table: Table) -> None:
    # given five tokens, of which two were taken
    await limiter.replenish({HOUR: 5})
    limiter.take(HOUR, n=2)
    # when more are given back than that, twice
    limiter.give_back(HOUR, taken_at=table.now, n=3)
    limiter.give_back(HOUR, taken_at=table.now, n=3)
    # then two go back
    await limiter.replenish({})
    assert [ask.returned for ask in table.statements[-1]] == [2]


async def test_a_busy_hand_remembers_no_more_than_it_needs(limiter: Limiter, table: Table) -> None:
    for _ in range(1000):
        await limiter.replenish({HOUR: 1})
        limiter.take(HOUR)
        table.now += 4.0
    assert len(limiter._hands[HOUR]._past) <= 2


async def test_an_empty_bucket_is_not_asked_again_before_it_can_have_a_token(limiter: Limiter, table: Table) -> None:
    # given a worker that has used up its burst of the minute
    await limiter.replenish({MINUTE: 100, HOUR: 100})
    limiter.take(MINUTE, HOUR, n=5)
    # then the next token comes in two thirds of a second: 90 a minute
    assert limiter.wait(MINUTE, HOUR) == pytest.approx(60 / 90)
    await limiter.replenish({MINUTE: 100})
    assert len(table.statements) == 1
    # when that has passed
    table.now += 60 / 90 + 0.001
    assert limiter.wait(MINUTE) == 0
    await limiter.replenish({MINUTE: 100})
    # then it is there
    assert limiter.available(MINUTE) == 1


async def test_a_fast_bucket_gathers_several_tokens_before_it_is_asked_again(table: Table) -> None:
    limiter = Limiter(table, lambda: table.now)
    limiter.configure({(Scope.WORKER, Period.MINUTE): Limit(60_000, 60.0)})
    await limiter.replenish({MINUTE: 100_000})
    limiter.take(MINUTE, n=3000)
    assert limiter.wait(MINUTE) == pytest.approx(0.05)


async def test_nobody_waits_for_an_hour_without_asking(table: Table) -> None:
    # given a bucket of one an hour, which is empty; others may hand a token back, or raise the limit
    limiter = Limiter(table, lambda: table.now)
    limiter.configure({(Scope.WORKER, Period.HOUR): Limit(1, 3600.0)})
    await limiter.replenish({HOUR: 2})
    limiter.take(HOUR)
    assert limiter.wait(HOUR) == pytest.approx(10)


async def test_what_is_in_hand_can_be_spent_while_the_database_is_away(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({HOUR: 5})
    table.reachable = False
    with pytest.raises(DatabaseUnavailable):
        await limiter.replenish({HOUR: 10})
    assert limiter.take(HOUR, n=3)
    table.now += 1
    assert limiter.available(HOUR) == 0


async def test_what_was_on_its_way_back_when_the_database_went_away_is_lost(limiter: Limiter, table: Table) -> None:
    # given expired tokens, and a lease that hands them back and is never answered: it may have taken effect
    await limiter.replenish({HOUR: 30})
    table.now += 1
    table.reachable = False
    with pytest.raises(DatabaseUnavailable):
        await limiter.replenish({HOUR: 1})
    # when the database is back
    table.reachable = True
    await limiter.replenish({HOUR: 1})
    # then they are not handed back a second time
    (ask,) = table.statements[-1]
    assert ask.returned == 0


async def test_a_cancelled_lease_leaves_nothing_half_done(limiter: Limiter, table: Table) -> None:
    # given a lease that was granted but not answered
    table.answering = asyncio.Event()
    leasing = asyncio.create_task(limiter.replenish({HOUR: 5}))
    await asyncio.sleep(0)
    # when it is cancelled
    leasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leasing
    # then its tokens are nobody's, and the next lease works
    table.answering = None
    assert limiter.available(HOUR) == 0
    await limiter.replenish({HOUR: 5})
    assert limiter.available(HOUR) == 5


async def test_two_leases_at_once_do_not_lease_twice(limiter: Limiter, table: Table) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(limiter.replenish({HOUR: 5}))
        group.create_task(limiter.replenish({HOUR: 5}))
    assert limiter.available(HOUR) == 5
    assert len(table.statements) == 1


async def test_new_limits_take_effect_while_running(limiter: Limiter, table: Table) -> None:
    # given a bucket that is empty for a while
    await limiter.replenish({MINUTE: 100, HOUR: 1})
    limiter.take(MINUTE, n=5)
    # when the minute's limit is raised and the hour's taken away
    limiter.configure({(Scope.WORKER, Period.MINUTE): Limit(6000, 60.0)})
    # then the one is asked again at once, and the other does not count
    assert limiter.wait(MINUTE) == 0
    assert limiter.available(HOUR) == math.inf
    table.now += 0.1
    await limiter.replenish({MINUTE: 100})
    assert table.buckets[MINUTE].capacity == 300


async def test_a_limit_taken_away_during_a_lease_is_gone(limiter: Limiter, table: Table) -> None:
    table.answering = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(limiter.replenish({HOUR: 5}))
        await asyncio.sleep(0)
        limiter.configure({})
        table.answering.set()
    assert limiter.available(HOUR) == math.inf


async def test_closing_hands_everything_back(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({HOUR: 30, MINUTE: 3})
    limiter.take(HOUR, n=10)
    await limiter.close()
    assert {ask.key: (ask.wanted, ask.returned) for ask in table.statements[-1]} == {HOUR: (0, 20), MINUTE: (0, 3)}
    assert limiter.available(HOUR) == 0
    await limiter.close()
    assert len(table.statements) == 2


async def test_closing_without_a_database_ends_too(limiter: Limiter, table: Table) -> None:
    await limiter.replenish({HOUR: 30})
    table.reachable = False
    await limiter.close()
    assert limiter.available(HOUR) == 0


async def test_a_purse_pays_for_all_buckets_or_for_none(limiter: Limiter) -> None:
    purse = limiter.purse(MINUTE, HOUR, FREE)
    assert not purse.holds()
    await limiter.replenish({MINUTE: 2, HOUR: 5})
    assert (purse.pay(), purse.pay(), purse.pay()) == (True, True, False)
    assert (limiter.available(MINUTE), limiter.available(HOUR)) == (0, 3)


async def test_a_purse_follows_limits_that_change(limiter: Limiter) -> None:
    purse = limiter.purse(MINUTE, HOUR)
    assert not purse.pay()
    limiter.configure({})
    assert purse.pay()
    limiter.configure(LIMITS)
    assert not purse.pay()


async def test_who_has_a_limit_of_its_own_is_not_one_of_each(limiter: Limiter) -> None:
    own = {(Scope.WORKER, "host#1/1"): ("90s", Limit(7, 90.0)), (Scope.WORKER, "host#1/2"): None}
    limiter.configure(LIMITS, own)
    (key,) = limiter.keys_of(Scope.WORKER, "host#1/1")
    assert (key.period, limiter.keys_of(Scope.WORKER, "host#1/2")) == ("90s", ())
    assert limiter.keys_of(Scope.WORKER, "host#1/3") == worker_keys("host#1/3")
    await limiter.replenish({key: 5, MINUTE: 5})
    assert (limiter.available(key), limiter.available(MINUTE)) == (1, math.inf)
