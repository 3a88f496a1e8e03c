"""The wake-up: inserts notify while a daemon is idle, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from mailworkers.queue.presence import Presence
from mailworkers.settings import Settings
from tests.support.jobs import insert


@pytest.fixture
async def presence(settings: Settings, database_url: str) -> AsyncIterator[Presence]:
    presence = await Presence.open(settings, database_url, asyncio.Event())
    yield presence
    await presence.close()


async def test_an_insert_wakes_an_idle_daemon(presence: Presence, app_connection: Any) -> None:
    assert await presence.announce_idle()
    await insert(app_connection)
    await asyncio.wait_for(presence.woken.wait(), 5)


async def test_an_insert_while_nobody_is_idle_notifies_nobody(presence: Presence, app_connection: Any) -> None:
    await presence.announce_idle()
    await presence.withdraw_idle()
    await insert(app_connection)
    await presence.check()  # a notification would have come before this answer
    assert not presence.woken.is_set()


async def test_idleness_is_granted_only_when_no_silent_insert_is_under_way(
    presence: Presence, app_connection: Any, database_url: str
) -> None:
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await insert(other)

    assert not await presence.announce_idle()

    await transaction.commit()
    assert await presence.announce_idle()
    await other.close()


async def test_a_daemon_that_is_not_the_one_that_announced_is_woken_too(
    presence: Presence, settings: Settings, database_url: str, app_connection: Any
) -> None:
    second = await Presence.open(settings, database_url, asyncio.Event())
    assert await presence.announce_idle()
    assert not await second.announce_idle()
    await insert(app_connection)
    await asyncio.wait_for(second.woken.wait(), 5)
    await second.close()
