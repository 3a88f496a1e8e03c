"""The ledger in PostgreSQL: several daemons, killed daemons, changed limits, and what its statements cost."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseRefused
from mailworkers.limits.bucket import Bucket, Limit
from mailworkers.limits.keys import BucketKey, Limits, Period, Scope, system_keys, worker_keys
from mailworkers.limits.ledger import Ask, Ledger
from mailworkers.limits.limiter import Limiter

MANY_BUCKETS = 100_000
KEY = BucketKey(Scope.WORKSPACE, "acme", Period.HOUR)
HOURLY = Limit(1000, 3600.0)  # slow enough that nothing is gained during a test
NEEDS_NO_WAIT = 0


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database.leases)


async def rewrite(database: Database, sql: str, *args: Any) -> None:
    async with database.claims.connection("arranging a test") as connection:
        await connection.execute(sql, *args)


async def stored(database: Database, key: BucketKey) -> Bucket | None:
    async with database.claims.connection("looking at a test's result") as connection:
        row = await connection.fetchrow(
            "SELECT tokens, capacity, rate, updated_at FROM mailworkers.worker_rate_limits"
            " WHERE (scope, name, period) = ($1, $2, $3)",
            key.scope.value,
            key.name,
            key.period,
        )
    return Bucket(**row) if row else None


async def test_a_bucket_begins_with_one_burst(ledger: Ledger) -> None:
    # given a bucket that nobody has used, of a limit whose burst is 50
    # when more is asked for than there is
    (grant,) = await ledger.lease([Ask(KEY, HOURLY, wanted=1000)])
    # then the burst is granted, and not more
    assert (grant.key, grant.tokens) == (KEY, 50)
    assert grant.left < 1


async def test_answers_for_each_bucket(ledger: Ledger) -> None:
    # given one bucket that exists and two that do not
    await ledger.lease([Ask(KEY, HOURLY, wanted=45)])
    first, second = worker_keys("host#1/1")
    # when tokens of all three are asked for at once
    grants = await ledger.lease([Ask(second, HOURLY, 3), Ask(KEY, HOURLY, 10), Ask(first, HOURLY, 60)])
    # then each is answered by itself
    assert {grant.key: grant.tokens for grant in grants} == {KEY: 5, first: 50, second: 3}


async def test_a_restarted_daemon_finds_the_bucket_as_it_left_it(database: Database) -> None:
    # given a daemon that spent a burst and was killed: nothing was closed, nothing handed back
    limits: Limits = {(Scope.WORKSPACE, Period.HOUR): HOURLY}
    killed = Limiter(Ledger(database.leases))
    killed.configure(limits)
    await killed.replenish({KEY: 50})
    assert killed.take(KEY, n=50)
    # when another one begins in its place
    restarted = Limiter(Ledger(database.leases))
    restarted.configure(limits)
    await restarted.replenish({KEY: 50})
    # then it has no second burst, and knows when to ask again
    assert restarted.available(KEY) == 0
    assert 0 < restarted.wait(KEY) <= 3600 / 900


async def test_a_closed_daemon_hands_back_what_it_did_not_spend(database: Database, ledger: Ledger) -> None:
    # given a daemon that leased a burst and spent a part
    limiter = Limiter(ledger)
    limiter.configure({(Scope.WORKSPACE, Period.HOUR): HOURLY})
    await limiter.replenish({KEY: 50})
    assert limiter.take(KEY, n=20)
    # when it stops
    await limiter.close()
    # then the rest is there for others, but for what a moment may have gained in vain
    (grant,) = await ledger.lease([Ask(KEY, HOURLY, wanted=50)])
    assert 25 <= grant.tokens <= 30


async def test_two_daemons_that_race_share_one_burst(database: Database) -> None:
    # given two daemons on one limit
    limiters = [Limiter(Ledger(gateway)) for gateway in (database.claims, database.leases, database.acks)]
    for limiter in limiters:
        limiter.configure({(Scope.WORKSPACE, Period.HOUR): HOURLY})

    async def send_all_it_can(limiter: Limiter) -> int:
        sent = 0
        for _ in range(40):
            await limiter.replenish({KEY: 3})
            while limiter.take(KEY):
                sent += 1
        return sent

    # when both take what they can get, for as long as the test lasts
    sent = await asyncio.gather(*(send_all_it_can(limiter) for limiter in limiters))
    # then they sent what one could have: the burst, and what the seconds meanwhile brought
    bucket = await stored(database, KEY)
    assert bucket is not None
    assert 50 <= sum(sent) + bucket.tokens <= 50 + 10 * HOURLY.rate


async def test_many_buckets_in_any_order_never_deadlock(database: Database) -> None:
    # given leases of many buckets, each daemon naming them in an order of its own
    keys = [BucketKey(Scope.WORKSPACE, f"w{n}", Period.MINUTE) for n in range(60)]
    limit = Limit(1_000_000, 60.0)

    async def lease(gateway: Any, seed: int) -> None:
        order = random.Random(seed)
        for _ in range(15):
            asks = [Ask(key, limit, wanted=1) for key in order.sample(keys, 40)]
            assert len(await Ledger(gateway).lease(asks)) == 40

    # when they all run at once (a deadlock would end as DatabaseUnavailable)
    async with asyncio.TaskGroup() as group:
        for seed, gateway in enumerate([database.claims, database.acks, database.leases] * 2):
            group.create_task(lease(gateway, seed))
    # then every lease was answered: nothing more to say


async def test_the_statement_and_the_arithmetic_agree(database: Database, ledger: Ledger) -> None:
    # given a bucket whose row is known, at random moments, with random changes of its limit
    chance = random.Random(7)
    key = BucketKey(Scope.WORKER, "host#1/1", Period.MINUTE)
    await ledger.lease([Ask(key, Limit(100, 60.0), wanted=1)])
    for _ in range(60):
        await rewrite(
            database,
            "UPDATE mailworkers.worker_rate_limits SET tokens = capacity * $1, updated_at = now() + make_interval(secs => $2)",
            chance.random(),
            chance.uniform(-20, 2),
        )
        before = await stored(database, key)
        assert before is not None
        limit = Limit(chance.randint(1, 5000), 60.0, chance.choice([0, 1, 10, 50, 90]))
        returned = chance.randint(0, 30)
        returned_from = before.updated_at + timedelta(seconds=chance.uniform(-5, 5)) if returned else None
        # when the database does it and the pure function does it
        (grant,) = await ledger.lease([Ask(key, limit, chance.randint(0, 40), returned, returned_from)])
        after = await stored(database, key)
        expected, tokens = before.leased(
            limit, grant.at, 40 if grant.tokens == 40 else grant.tokens, returned, returned_from
        )
        # then both have the same row
        assert after is not None
        assert (after.capacity, after.rate, after.updated_at) == (limit.capacity, limit.rate, grant.at)
        assert grant.tokens == tokens
        assert after.tokens == pytest.approx(expected.tokens, abs=1e-9)
        assert grant.left == after.tokens


async def test_a_raised_limit_gains_nothing_at_once(ledger: Ledger) -> None:
    # given a bucket that is spent
    await ledger.lease([Ask(KEY, HOURLY, wanted=50)])
    # when its limit is raised tenfold
    (grant,) = await ledger.lease([Ask(KEY, Limit(10_000, 3600.0), wanted=500)])
    # then it fills faster from now on, but nothing is given for it
    assert grant.tokens == 0


async def test_a_lowered_limit_counts_at_once(ledger: Ledger) -> None:
    # given a full bucket
    await ledger.lease([Ask(KEY, HOURLY, wanted=0), Ask(system_keys()[0], HOURLY, wanted=1)])
    await ledger.lease([Ask(KEY, HOURLY, wanted=1)])
    # when its limit is lowered to 20 an hour
    (grant,) = await ledger.lease([Ask(KEY, Limit(20, 3600.0), wanted=50)])
    # then the smaller burst counts
    assert grant.tokens == 1


async def test_a_purge_forgets_only_what_would_begin_the_same(database: Database, ledger: Ledger) -> None:
    # given a bucket in use, one untouched for two days, and one as old that is still not full
    used, old, empty = (BucketKey(Scope.WORKSPACE, name, Period.HOUR) for name in ("used", "old", "empty"))
    await ledger.lease([Ask(key, HOURLY, wanted=1) for key in (used, old, empty)])
    await rewrite(
        database,
        "UPDATE mailworkers.worker_rate_limits SET updated_at = now() - interval '2 days',"
        " rate = CASE name WHEN 'empty' THEN 1e-9 ELSE rate END WHERE name <> 'used'",
    )
    # when maintenance purges
    purged = await database.leases.fetch("limits/purge", 10)
    # then only the full one is gone
    assert len(purged) == 1
    assert await stored(database, old) is None
    assert await stored(database, used) is not None
    assert await stored(database, empty) is not None


async def test_leasing_uses_the_primary_key_however_many_buckets_there_are(database: Database) -> None:
    # given 100,000 buckets
    await rewrite(
        database,
        "INSERT INTO mailworkers.worker_rate_limits (tokens, capacity, rate, updated_at, scope, name, period)"
        " SELECT 1, 1, 1, now(), 'workspace', 'w' || n, 'minute' FROM generate_series(1, $1::int) AS n",
        MANY_BUCKETS,
    )
    await rewrite(database, "ANALYZE mailworkers.worker_rate_limits")
    one = (["workspace"], ["w7"], ["minute"], [1.0], [1.0])
    arguments = {"limits/lease": (*one, [1], [0], [None]), "limits/open": one}
    for name, given in arguments.items():
        # when the plan is asked for, as the daemon's connections make it
        async with database.leases.connection("explaining") as connection:
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {database.queries[name]}", *given))
        # then no step reads the whole table
        assert "Seq Scan on worker_rate_limits" not in plan
    async with database.leases.connection("explaining") as connection:
        plan = "\n".join(
            row[0]
            for row in await connection.fetch(f"EXPLAIN {database.queries['limits/lease']}", *arguments["limits/lease"])
        )
    assert "Index Scan using worker_rate_limits_pkey" in plan


@pytest.mark.parametrize("bucket", [(-1, 1, 1), (2, 1, 1), (0, 0.5, 1), (0, 1, 0), ("nan", 1, 1), (0, 1, "infinity")])
async def test_the_table_takes_no_bucket_that_could_not_be(
    database: Database, bucket: tuple[float, float, float]
) -> None:
    with pytest.raises(DatabaseRefused):
        await rewrite(
            database,
            "INSERT INTO mailworkers.worker_rate_limits (tokens, capacity, rate, updated_at, scope, name, period)"
            f" VALUES ('{bucket[0]}', '{bucket[1]}', '{bucket[2]}', now(), 'worker', 'w', 'minute')",
        )


@pytest.mark.parametrize(
    ("role", "may_write"), [("mailworkers_worker", True), ("mailworkers_readonly", False), ("mailworkers_app", None)]
)
async def test_who_may_do_what(database: Database, role: str, may_write: bool | None) -> None:
    async with database.claims.connection("looking at rights") as connection:
        rights = await connection.fetchrow(
            "SELECT has_table_privilege($1, 'mailworkers.worker_rate_limits', 'SELECT') AS reads,"
            " has_table_privilege($1, 'mailworkers.worker_rate_limits', 'INSERT, UPDATE, DELETE') AS writes",
            role,
        )
    assert (rights["reads"], rights["writes"]) == (may_write is not None, bool(may_write))
