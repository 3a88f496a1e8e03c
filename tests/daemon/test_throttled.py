"""A whole daemon, or two, before a relay that takes only so much: how fast it gets there, and what that costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from mailworkers.daemon.supervisor import Running
from mailworkers.limits import Scope
from mailworkers.limits.table import forget_all, set_limit
from mailworkers.queue.overview import read_lowered
from mailworkers.settings import Settings
from tests.support.measured import Measured
from tests.support.running import running_daemon
from tests.support.throttling_relay import ThrottlingRelay
from tests.support.waiting import eventually

RATE = 50.0
WATCHED_SECONDS = 5.0
SETTLING_SECONDS = 40.0  # a slow machine's worst; mostly a few
SPENT = "SELECT coalesce(sum(attempts), 0) FROM mailworkers.email_jobs"
ENDS = "SELECT status, max(attempts) AS attempts FROM mailworkers.email_sends GROUP BY status"


INSERT = """
INSERT INTO mailworkers.email_jobs (workspace_id, to_email, subject, text_body)
SELECT $1, 'reader' || n || '@example.org', 'Hello', 'Hi' FROM generate_series(1, $2::integer) AS n
"""


TO_GOOGLE = """
INSERT INTO mailworkers.email_jobs (workspace_id, to_email, subject, text_body) VALUES ('shop', 'ann@firm.example', 'Hello', 'Hi')
"""
FIRM = "INSERT INTO mailworkers.destination_domains (domain, destination_group) VALUES ('firm.example', 'google')"
LEARNED = """
INSERT INTO mailworkers.learned_rates (scope, name, instance, rate, good, rests_until, reason)
VALUES ('lane', 'default/', $1, 20, 20, now() + make_interval(secs => $2::integer), '421 slower')
"""


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


def to(settings: Settings, port: int, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, **changes})


async def heard(running: Running) -> None:
    """Until the daemon has looked at what is set twice, at least one of them after now."""
    before = running.database.claims.statements
    await eventually(lambda: running.database.claims.statements >= before + 4, "the daemon has looked")


def gone(owner: Any, workspace: str) -> Callable[[], Awaitable[bool]]:
    async def has_gone() -> bool:
        return bool(
            await owner.fetchval("SELECT count(*) FROM mailworkers.email_sends WHERE workspace_id = $1", workspace)
        )

    return has_gone


async def nothing_is_spent(owner: Any) -> None:
    assert await owner.fetchval(SPENT) == 0
    assert [tuple(row) for row in await owner.fetch(ENDS)] == [("sent", 1)]


async def settled(relay: ThrottlingRelay) -> None:
    """The rate is within a quarter of the relay's, over some seconds."""
    began = len(relay.taken)
    await eventually(
        lambda: len(relay.taken) > began and abs(relay.rate(WATCHED_SECONDS) / RATE - 1) <= 0.25,
        "the rate has settled",
        SETTLING_SECONDS,
    )


@pytest.mark.one_loop
async def test_the_rate_settles_and_spends_no_attempt(
    settings: Settings, app_connection: Any, owner: Any, measured: Measured
) -> None:
    await app_connection.execute(INSERT, "default", 5000)
    async with ThrottlingRelay(RATE) as relay, running_daemon(to(settings, relay.port)) as running:
        await eventually(
            lambda: len(relay.taken) > WATCHED_SECONDS * RATE, "some seconds have passed", SETTLING_SECONDS
        )
        await settled(relay)
        await nothing_is_spent(owner)
        assert "default" in running.vitals.lowered
        (lowered,) = await read_lowered(running.database.claims, 10)
        assert (lowered.scope, lowered.name, lowered.daemons) == ("lane", "default/", 1)
        assert "too many mails from you" in lowered.reason
        measured(f"421: {relay.rate(WATCHED_SECONDS):.1f} mails/s of {RATE:g}, {len(relay.refused)} refused")


@pytest.mark.one_loop
async def test_two_daemons_settle_together_and_forget_at_once_when_told(
    settings: Settings, app_connection: Any, owner: Any, measured: Measured
) -> None:
    await app_connection.execute(INSERT, "default", 5000)
    async with ThrottlingRelay(RATE, "450 at RCPT") as relay:
        one, other = to(settings, relay.port), to(settings, relay.port, instance="other")
        async with running_daemon(one) as first, running_daemon(other) as second:
            await eventually(
                lambda: len(relay.taken) > WATCHED_SECONDS * RATE, "some seconds have passed", SETTLING_SECONDS
            )
            await settled(relay)
            await nothing_is_spent(owner)
            measured(f"450, two daemons: {relay.rate(WATCHED_SECONDS):.1f} mails/s, {len(relay.refused)} refused")

            # when the relay takes all, and a person says so
            relay.allow(100_000)
            assert await forget_all(first.database.claims) == 1
            await eventually(lambda: not (first.vitals.lowered or second.vitals.lowered), "nothing is lowered")
            await eventually(lambda: relay.rate(1.0) > 5 * RATE, "mail leaves as fast as it can")


async def test_a_restarted_daemon_goes_on_with_what_it_had_learned(settings: Settings, owner: Any) -> None:
    await owner.execute(LEARNED, "test#1", 0)
    async with running_daemon(to(settings, 25)) as running:
        assert running.vitals.lowered["default"].rate == pytest.approx(16.0)  # below it first, as after each cut


async def test_a_lane_rests_where_another_daemon_was_told_to_wait(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    await owner.execute(LEARNED, "elsewhere#1", 30)
    async with ThrottlingRelay(10_000) as relay, running_daemon(to(settings, relay.port)) as running:
        await app_connection.execute(INSERT, "default", 1)
        await app_connection.execute(INSERT, "acme", 20)
        await eventually(lambda: len(relay.taken) == 20, "the other lane's mails have gone")
        assert running.vitals.resting_lanes == {"default": "421 slower"}
        assert await owner.fetchval("SELECT workspace_id FROM mailworkers.email_jobs") == "default"


@pytest.mark.parametrize(("scope", "name"), [(Scope.LANE, "acme"), (Scope.DESTINATION, "others")])
async def test_what_a_person_sets_holds_at_once_and_for_no_other_lane(
    scope: Scope, name: str, settings: Settings, app_connection: Any, owner: Any
) -> None:
    async with ThrottlingRelay(100_000) as relay, running_daemon(to(settings, relay.port)) as running:
        # given a limit that is set while the daemon runs, and the time until it has heard
        await set_limit(running.database.claims, scope, name, "10/s")
        await asyncio.wait_for(heard(running), 5)

        # when there is more, then no second sees more, and mail of a lane without a limit goes at once
        await app_connection.execute(INSERT, "acme", 30)
        await owner.execute(FIRM)
        await app_connection.execute(TO_GOOGLE)
        await eventually(gone(owner, "shop"), "the other lane's mail has gone", 2.0)
        await eventually(lambda: len(relay.taken) == 31, "all have gone")
        moments = sorted(relay.taken)
        assert max(sum(0 <= later - first < 0.99 for later in moments) for first in moments) <= 11  # with the other's
        assert await owner.fetchval(SPENT) == 0


@pytest.mark.one_loop
async def test_a_relay_that_refuses_connections_lowers_all_lanes(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    await app_connection.execute(INSERT, "default", 1000)
    async with (
        ThrottlingRelay(RATE, "421 at the greeting") as relay,
        running_daemon(to(settings, relay.port, smtp_mails_per_connection=5)) as running,
    ):
        await eventually(lambda: "relay" in running.vitals.lowered, "the relay's rate is learned")
        (lowered,) = await read_lowered(running.database.claims, 10)
        assert (lowered.scope, lowered.name) == ("provider", "127.0.0.1")
        await eventually(lambda: len(relay.taken) > 60, "mail goes on")
        await nothing_is_spent(owner)
