"""A whole daemon, or two, before a relay that takes only so much: how fast it gets there, and what that costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from mailworkers.settings import Settings
from tests.support.measured import Measured
from tests.support.running import running_daemon
from tests.support.throttling_relay import Refusal, ThrottlingRelay
from tests.support.waiting import eventually

RATE = 50.0
WATCHED_SECONDS = 5.0
SETTLING_SECONDS = 20.0
SPENT = "SELECT coalesce(sum(attempts), 0) FROM mailworkers.email_jobs"
ENDS = "SELECT status, max(attempts) AS attempts FROM mailworkers.email_sends GROUP BY status"


INSERT = """
INSERT INTO mailworkers.email_jobs (workspace_id, to_email, subject, text_body)
SELECT $1, 'reader' || n || '@example.org', 'Hello', 'Hi' FROM generate_series(1, $2::integer) AS n
"""


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


def to(settings: Settings, port: int, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, **changes})


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


@pytest.mark.parametrize("refusal", ["421 at MAIL", "450 at RCPT"])
async def test_the_rate_settles_and_spends_no_attempt(
    refusal: Refusal, settings: Settings, app_connection: Any, owner: Any, measured: Measured
) -> None:
    await app_connection.execute(INSERT, "default", 5000)
    async with ThrottlingRelay(RATE, refusal) as relay, running_daemon(to(settings, relay.port)) as running:
        await eventually(lambda: bool(running.vitals.lowered), "the lane is lowered")
        await eventually(lambda: len(relay.taken) > WATCHED_SECONDS * RATE, "some seconds have passed")
        await settled(relay)
        await nothing_is_spent(owner)
        lowered = await owner.fetch("SELECT scope, name, reason FROM mailworkers.learned_rates")
        assert [(row["scope"], row["name"]) for row in lowered] == [("lane", "default/")]
        assert "too many mails from you" in lowered[0]["reason"]
        measured(f"{refusal}: {relay.rate(WATCHED_SECONDS):.1f} mails/s of {RATE:g}, {len(relay.refused)} refused")
