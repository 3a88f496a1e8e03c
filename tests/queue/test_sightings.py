"""Who is dead and what is overdue, as one process sees it by its own clock while the database's may be set."""

from __future__ import annotations

from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import Leases
from tests.support.clock import Clock
from tests.support.jobs import insert

LEASE_SECONDS = 30.0
LOOK_SECONDS = 10.0  # between two looks at other daemons: often enough to count as watching


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database.leases, "test", LEASE_SECONDS, clock)


async def run(database: Database, sql: str, *args: Any) -> None:
    async with database.claims.connection("the test") as connection:
        await connection.execute(sql, *args)


async def watched(leases: Leases, clock: Clock, seconds: float, own: list[int]) -> list[int]:
    """Who died within that time."""
    dead = await leases.end_dead(own)
    end = clock.now + seconds
    while clock.now < end:
        clock.now += min(LOOK_SECONDS, end - clock.now)
        dead += await leases.end_dead(own)
    return dead


async def test_without_a_session_a_lease_ends_where_no_renewal_was_seen_for_as_long_as_it_lasts(
    leases: Leases, clock: Clock
) -> None:
    daemon = (await leases.register()).daemon_id
    assert await watched(leases, clock, LEASE_SECONDS - 0.1, []) == []
    assert await leases.renew(daemon, [])
    assert await watched(leases, clock, LEASE_SECONDS - 0.1, []) == []
    clock.now += 0.1
    assert await leases.end_dead([]) == [daemon]


async def test_a_daemon_does_not_take_a_lease_that_it_lost_for_another_daemons(leases: Leases, clock: Clock) -> None:
    lost, present = [(await leases.register()).daemon_id for _ in range(2)]
    assert await watched(leases, clock, LEASE_SECONDS, [lost, present]) == []
    assert await watched(leases, clock, LEASE_SECONDS, [present]) == [lost]


@pytest.mark.parametrize("step", ["1 hour", "-1 hour"])
async def test_a_step_of_the_databases_clock_ends_no_lease_and_keeps_none(
    leases: Leases, database: Database, clock: Clock, step: str
) -> None:
    daemon = (await leases.register()).daemon_id
    assert await watched(leases, clock, LOOK_SECONDS, []) == []
    # as if now() said something else: the row's moments are as far away from it
    await run(
        database,
        "UPDATE mailworkers.email_daemons SET renewed_at = renewed_at - $1::text::interval, "
        "lease_until = lease_until - $1::text::interval",
        step,
    )
    assert await watched(leases, clock, LEASE_SECONDS - 0.1, []) == []
    clock.now += 0.1
    assert await leases.end_dead([]) == [daemon]


async def test_a_lease_that_is_renewed_between_the_look_and_its_end_goes_on(
    leases: Leases, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = (await leases.register()).daemon_id
    assert await watched(leases, clock, LEASE_SECONDS - LOOK_SECONDS, []) == []
    fetch = database.leases.fetch

    async def renewed_meanwhile(name: str, *args: Any) -> Any:
        if name == "leases/end_dead":
            assert args[0] == [daemon]
            await fetch("leases/renew", daemon, LEASE_SECONDS, [], [], [], [], [], [])
        return await fetch(name, *args)

    monkeypatch.setattr(database.leases, "fetch", renewed_meanwhile)
    clock.now += LOOK_SECONDS
    assert await leases.end_dead([]) == []


async def test_who_looked_away_watches_anew(leases: Leases, clock: Clock) -> None:
    daemon = (await leases.register()).daemon_id
    assert await leases.end_dead([]) == []
    clock.now += 10 * LEASE_SECONDS  # as when the database could not be reached: the other could not renew either
    assert await watched(leases, clock, LEASE_SECONDS - 0.1, []) == []
    clock.now += 0.1
    assert await leases.end_dead([]) == [daemon]


async def test_an_attempt_is_given_up_only_where_it_was_seen_overdue_for_a_while(
    leases: Leases, database: Database, app_connection: Any, clock: Clock
) -> None:
    daemon = (await leases.register()).daemon_id
    await insert(app_connection)
    claims = Claims(database.claims, 60.0)
    (head,) = await claims.heads()
    (job,) = await claims.claim([Wish(head.lane, head.priority, head.campaign, head.scheduled_at, head.id, 1)], daemon)
    late = "UPDATE mailworkers.email_jobs SET deadline = now() - interval '1 h' WHERE id = $1"
    await run(database, late, job.id)
    assert (await leases.expire(300.0, 60.0)).again == 0
    clock.now += 59.9
    assert (await leases.expire(300.0, 60.0)).again == 0
    # another claim of the same job begins anew
    await run(database, "UPDATE mailworkers.email_jobs SET lease = lease + 1 WHERE id = $1", job.id)
    clock.now += 0.1
    assert (await leases.expire(300.0, 60.0)).again == 0
    clock.now += 60.0
    assert (await leases.expire(300.0, 60.0)).again == 1
