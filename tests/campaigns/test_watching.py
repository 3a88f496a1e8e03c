"""Following campaigns: every outcome counted, what holds them, and their exact end; with notifications and without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mailworkers.campaigns import listening, watching
from mailworkers.campaigns.failures import failures
from mailworkers.campaigns.watching import RATE_SECONDS, Ended, Rate, Sight, watch
from mailworkers.db.pool import Database
from mailworkers.errors import CampaignError, DatabaseUnavailable
from mailworkers.settings import Settings
from tests.support import campaigns
from tests.support.program import mailworkers
from tests.support.running import running_daemon
from tests.support.sink import Sink

LEADS = 300
WATCH_SECONDS = 40.0
CONNECT_SECONDS = 10.0


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    await campaigns.prepare(connection, LEADS)
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)


async def followed(database: Database, settings: Settings, campaign: int) -> list[Sight]:
    async with asyncio.timeout(WATCH_SECONDS):
        return [sight async for sight in watch(database, settings, campaign)]


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = [100.0]
    rate = Rate(lambda: now[0])
    assert rate.saw(0) is None
    now[0] += 1
    assert rate.saw(500) == 500
    for _ in range(int(RATE_SECONDS)):
        now[0] += 1
        told = rate.saw(500)
    assert told == 0  # what happened before the last seconds counts no more
    now[0] += 1
    assert rate.saw(400) == 0  # brought back by `jobs retry`: never below nothing


async def nowhere(*_: object) -> Any:
    raise DatabaseUnavailable("no session to be had here")


@pytest.mark.parametrize("listens", [True, False])
async def test_the_last_sight_is_exact(
    settings: Settings, database: Database, owner: Any, monkeypatch: pytest.MonkeyPatch, *, listens: bool
) -> None:
    """Given a relay that refuses one lead, when a campaign is watched from its draft on, then each sight adds up, and the last
    one says what the record says; also where nothing can be heard."""
    if not listens:
        monkeypatch.setattr(listening, "connect_once", nowhere)
    refusals = {"reader1@b.example": "550 5.1.1 no such user"}
    campaign = await campaigns.create(owner)
    async with Sink(refusals=refusals) as sink, asyncio.TaskGroup() as group:
        watched = group.create_task(followed(database, settings, campaign))
        async with running_daemon(settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port})):
            await owner.execute("SELECT mailworkers.start_campaign($1)", campaign)
            sights = await watched

    for sight in sights:
        far = sight.campaign
        assert (
            far.made == far.live + far.sent + far.failed + far.abandoned + far.cancelled + far.suppressed + far.unknown
        )
    last = sights[-1]
    assert (last.ended, last.campaign.sent, last.campaign.failed, last.campaign.live) == (
        Ended.FINISHED,
        LEADS - 1,
        1,
        0,
    )
    assert "it is a draft" in sights[0].holds[0]
    assert all(one.ended is None for one in sights[:-1])
    assert last.holds == ()
    (failed,) = [one async for one in failures(database.claims, campaign, last.campaign.started_at)]
    assert (failed.email, failed.status, failed.code, failed.reply) == (
        "reader1@b.example", "failed", 550, "the recipient's address is dead: 550 5.1.1 no such user",
    )  # fmt: skip


async def test_what_is_said_on_a_channel_is_heard(settings: Settings, database: Database, owner: Any) -> None:
    async with listening.hearing(settings, database.dsn, ("progress",)) as heard:
        assert not heard.is_set()
        await owner.execute("SELECT pg_notify('mailworkers_progress', '1')")
        async with asyncio.timeout(WATCH_SECONDS):
            await heard.wait()


async def test_what_holds_it_is_said(
    settings: Settings, database: Database, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await campaigns.start(owner)
    await owner.execute(
        "INSERT INTO mailworkers.workspaces (workspace_id, paused_at, why) VALUES ('default', now(), 'too much spam')"
    )
    await owner.execute("SELECT mailworkers.define_warm_up_schedule('one', '[{\"day\": 1, \"quota\": 50}]')")
    await owner.execute("SELECT mailworkers.start_warm_up('sender@example.org', 'one')")
    await owner.execute("SELECT mailworkers.pause_warm_up('sender@example.org', 'ask Bo')")
    for lane, daemon, rate in (("default/google", "a", 20), ("default/google", "b", 30), ("other/google", "a", 1)):
        await owner.execute(
            "INSERT INTO mailworkers.learned_rates (scope, name, instance, rate, reason) VALUES ('lane', $1, $2, $3, '421 4.7.0 slower')",
            lane, daemon, rate,
        )  # fmt: skip
    # and it sent five of ten in ten seconds, before that
    await owner.execute(
        "UPDATE mailworkers.campaign_sends SET expected = 10, looked_at = 10, made = 10, started_at = now() - interval '10 s'"
    )
    await owner.execute(
        "INSERT INTO mailworkers.progress_tracking (kind, subject_id, part, done, sent) VALUES ('campaign', $1, 9, 5, 5)", campaign
    )  # fmt: skip
    assert await owner.fetchval("SELECT ends_at FROM mailworkers.campaign_progress") is not None
    monkeypatch.setattr(watching, "HOLD_SECONDS", 0.0)

    sights = watch(database, settings, campaign)
    first = await anext(sights)
    assert first.ends_at is None
    assert "no daemon is running" in first.holds[0]
    assert "workspace default is paused (too much spam)" in first.holds[1]
    assert "the warm-up of sender@example.org is paused (ask Bo)" in first.holds[2]
    assert first.holds[3:] == ("the relay takes about 50 mails/s to google just now (421 4.7.0 slower)",)
    await campaigns.ask(owner, "pause", campaign)
    while (sight := await anext(sights)).campaign.status != "paused":
        pass
    assert "`mailworkers campaign resume" in sight.holds[0]
    await sights.aclose()


async def test_one_that_is_cancelled_or_cannot_start_ends_the_watching(
    settings: Settings, database: Database, owner: Any
) -> None:
    cancelled = await campaigns.create(owner)
    await campaigns.ask(owner, "cancel", cancelled)
    assert (await followed(database, settings, cancelled))[-1].ended is Ended.CANCELLED
    stopped = await campaigns.create(owner, "other")
    await owner.execute(
        "UPDATE mailworkers.campaign_sends SET status = 'stopped', why = 'no list' WHERE id = $1", stopped
    )
    assert (await followed(database, settings, stopped))[-1].ended is Ended.STOPPED
    with pytest.raises(CampaignError, match="no campaign 4711"):
        await followed(database, settings, 4711)


async def test_a_database_that_is_away_for_a_while_is_waited_for(
    settings: Settings, database: Database, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await campaigns.start(owner)
    fetchrow, away = database.claims.fetchrow, [3]

    async def flaky(name: str, *args: Any) -> Any:
        if looked and away[0]:
            away[0] -= 1
            raise DatabaseUnavailable("away")
        return await fetchrow(name, *args)

    looked: list[Sight] = []
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(database.claims, "fetchrow", flaky)
    async with asyncio.timeout(WATCH_SECONDS):
        async for sight in watch(database, settings, campaign):
            looked.append(sight)
            if len(looked) == 3:
                break

    assert away == [0]


async def test_the_command_prints_an_object_a_change_and_ends_by_how_the_campaign_ends(
    settings: Settings, database_url: str, owner: Any, tmp_path: Path
) -> None:
    campaign = await campaigns.start(owner)
    async with (
        Sink() as sink,
        running_daemon(settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port})),
    ):
        ended = await asyncio.to_thread(
            mailworkers, "campaign", "watch", str(campaign), "--json", DATABASE_URL=database_url
        )
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (lines[-1]["status"], lines[-1]["sent"], lines[-1]["live"]) == ("finished", LEADS, 0)

    plain = await asyncio.to_thread(mailworkers, "campaign", "watch", "autumn", DATABASE_URL=database_url)
    assert plain.stdout.splitlines()[-1].startswith(f"campaign {campaign} autumn finished after ")
    assert plain.stdout.rstrip().endswith(f"{LEADS} sent, of {LEADS}")

    other = await campaigns.create(owner, "other")
    await campaigns.ask(owner, "cancel", other)
    assert (
        await asyncio.to_thread(mailworkers, "campaign", "watch", "other", DATABASE_URL=database_url)
    ).returncode == 1
