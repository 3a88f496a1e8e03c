"""Campaigns from their start to their end: a daemon, a relay, and what the database counts meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from mailworkers.campaigns.making import Made, Making, Open
from mailworkers.daemon.assembly import _hold
from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.campaigning import (
    LEAST_CHUNK,
    LONG_SECONDS,
    MOST_CHUNK,
    SHORT_SECONDS,
    Campaigning,
    _next_chunk,
)
from mailworkers.daemon.heartbeat import Heartbeat
from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.settling import Settling
from mailworkers.daemon.trouble import Trouble
from mailworkers.errors import DatabaseRefused
from mailworkers.queue.states import Job
from mailworkers.settings import Settings
from tests.support import campaigns
from tests.support.campaigns import ask, assert_exact, assert_once, becomes, create, prepare, progress, start
from tests.support.jobs import made_up
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually

ACT_SECONDS = 1.0  # what is promised of pause, resume and cancel


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=30)
    yield connection
    await connection.close(timeout=10)


def to(settings: Settings, sink: Sink, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port, **changes})


def addresses(sink: Sink) -> list[str]:
    return [mail.rcpt_to[0] for mail in sink.mails]


async def test_a_campaign_writes_once_to_each_lead_that_matches(settings: Settings, owner: Any) -> None:
    # given leads of whom half live in Bonn, one of whom has unsubscribed
    await prepare(owner, 3000)
    await owner.execute("UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE email = 'reader2@a.example'")
    refusals = {"reader4@b.example": "550 5.1.1 unknown"}

    # when a campaign to those runs
    async with Sink(refusals=refusals) as sink, running_daemon(to(settings, sink, campaign_window=200)):
        campaign = await start(owner, only='{"city": "Köln"}')
        await becomes(owner, campaign, "finished")

    # then each of them has one mail with what is theirs, and the counts say so
    assert_once(addresses(sink))
    said = await assert_exact(owner, campaign)
    assert said | {"expected": 1500, "made": 1500, "sent": 1500, "live": 0, "looked_at": 3000, "skipped": 1500} == said
    assert b"Reader 3 of K=C3=B6ln, from the shop" in next(
        mail.content for mail in sink.mails if mail.rcpt_to[0] == "reader3@example.org"
    )
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.progress_tracking") == 1


async def test_ends_of_every_kind_are_counted(settings: Settings, owner: Any) -> None:
    await prepare(owner, 300)
    refusals = {"reader3@example.org": "550 5.1.1 unknown", "reader6@example.org": "450 4.2.0 later"}
    async with Sink(refusals=refusals) as sink, running_daemon(to(settings, sink, give_up_hours=0.1 / 3600)):
        campaign = await create(owner)
        await owner.execute("SELECT mailworkers.edit_campaign($1, '{\"max_retries\": 0}')", campaign)
        await ask(owner, "start", campaign)
        await becomes(owner, campaign, "finished")

    said = await assert_exact(owner, campaign)
    assert (said["sent"], said["failed"] + said["abandoned"]) == (298, 2)


async def test_the_window_bounds_what_is_made(settings: Settings, owner: Any) -> None:
    """Given no sender, when a campaign runs, then no more than the window is made; each that ends makes room for another."""
    await prepare(owner, 2000)
    # a relay that nobody reaches: nothing is sent
    async with running_daemon(
        settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": 9, "campaign_window": 300})
    ):
        campaign = await start(owner)

        async def is_full() -> bool:
            return bool((await progress(owner, campaign))["live"] == 300)

        await eventually(is_full, "the window is full")
        await owner.execute("UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE id <= 200")

        async def went_on() -> bool:
            return bool((await progress(owner, campaign))["made"] >= 300 + 150)

        # at once where that is worth a statement: room for half of the window. What is freed later may wait for more.
        await eventually(went_on, "what was freed is made again")
        said = await progress(owner, campaign)
        assert said["made"] <= 300 + said["suppressed"]
    said = await assert_exact(owner, campaign)
    assert 300 >= said["live"] == said["made"] - said["suppressed"]


async def test_pause_resume_and_cancel_act_within_a_second(settings: Settings, owner: Any) -> None:
    await prepare(owner, 20_000)
    async with Sink(keep_content=False) as sink, running_daemon(to(settings, sink)):
        campaign = await start(owner)
        await eventually(lambda: len(sink.mails) > 500, "it runs")

        await ask(owner, "pause", campaign)
        await asyncio.sleep(ACT_SECONDS)
        paused = len(sink.mails)
        assert paused < 20_000
        assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs WHERE status = 'sending'") == 0
        assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_job_status WHERE status = 'waiting'") == 0
        await asyncio.sleep(ACT_SECONDS / 2)
        assert len(sink.mails) == paused
        await assert_exact(owner, campaign)

        began = time.monotonic()
        await ask(owner, "resume", campaign)
        await eventually(lambda: len(sink.mails) > paused, "it goes on")
        assert time.monotonic() - began < ACT_SECONDS

        await ask(owner, "cancel", campaign)
        await asyncio.sleep(ACT_SECONDS)
        cancelled = len(sink.mails)
        await becomes(owner, campaign, "cancelled")
        assert len(sink.mails) == cancelled < 20_000

    assert_once(addresses(sink))
    said = await assert_exact(owner, campaign)
    assert (said["sent"], said["live"]) == (cancelled, 0)
    assert said["cancelled"] == said["made"] - said["sent"] > 0


async def test_what_was_cancelled_can_be_brought_back_by_hand(settings: Settings, owner: Any, database: Any) -> None:
    await prepare(owner, 10)
    async with Sink() as sink:
        async with running_daemon(to(settings, sink, smtp_port=9)):
            campaign = await start(owner)
            await eventually_made(owner, campaign, 10)
            await ask(owner, "cancel", campaign)
            await becomes(owner, campaign, "cancelled")
        job = await owner.fetchval("SELECT min(job_id) FROM mailworkers.email_sends")
        assert await database.claims.fetchval("change/bring_back", job, ["cancelled"], None) == job
        said = await assert_exact(owner, campaign)
        assert (said["live"], said["cancelled"]) == (1, 9)

        async with running_daemon(to(settings, sink)):
            await eventually(lambda: len(sink.mails) == 1, "the one is sent")

            async def is_counted() -> bool:
                return bool((await progress(owner, campaign))["sent"] == 1)

            await eventually(is_counted, "and counted")
    assert (await assert_exact(owner, campaign))["live"] == 0


async def eventually_made(owner: Any, campaign: int, made: int) -> None:
    async def is_made() -> bool:
        return bool((await progress(owner, campaign))["made"] == made)

    await eventually(is_made, f"{made} are made")


async def test_an_edit_of_a_paused_campaign_changes_what_was_made(settings: Settings, owner: Any) -> None:
    await prepare(owner, 2000)
    async with Sink() as sink:
        async with running_daemon(to(settings, sink, smtp_port=9, campaign_window=500)):
            campaign = await start(owner)
            await eventually_made(owner, campaign, 500)
            await ask(owner, "pause", campaign)
        changes = {"data": {"shop": "the other shop"}, "from_email": "new@example.org"}
        await owner.execute("SELECT mailworkers.edit_campaign($1, $2)", campaign, json.dumps(changes))
        async with running_daemon(to(settings, sink)):
            await ask(owner, "resume", campaign)
            await becomes(owner, campaign, "finished")

    assert len(sink.mails) == 2000
    assert all(b"from the other shop" in mail.content and mail.mail_from == "new@example.org" for mail in sink.mails)
    assert (await assert_exact(owner, campaign))["sent"] == 2000


async def test_a_scheduled_campaign_starts_at_its_time(settings: Settings, owner: Any) -> None:
    await prepare(owner, 20)
    async with Sink() as sink, running_daemon(to(settings, sink)):
        soon = await create(owner, "soon", start_at=datetime.now(UTC) + timedelta(seconds=0.7))
        later = await create(owner, "later", start_at=datetime.now(UTC) + timedelta(days=3000))
        assert await campaigns.status(owner, soon) == "scheduled"
        await becomes(owner, soon, "finished")
        assert await campaigns.status(owner, later) == "scheduled"
    assert len(sink.mails) == 20


async def test_a_campaign_that_cannot_start_says_why(settings: Settings, owner: Any) -> None:
    await prepare(owner, 5)
    campaign = await create(owner, start_at=datetime.now(UTC) + timedelta(seconds=0.5))
    await owner.execute("DELETE FROM mailworkers.templates")
    async with Sink() as sink, running_daemon(to(settings, sink)):
        await becomes(owner, campaign, "stopped")
        assert (await progress(owner, campaign))[
            "why"
        ] == "it could not start: workspace 'default' has no template 'letter'"

        await owner.fetchval(campaigns.SAVE, "default")
        await ask(owner, "resume", campaign)
        await becomes(owner, campaign, "finished")
    assert len(sink.mails) == 5


@pytest.mark.parametrize("whom", [{"only": '{"city": "Rom"}'}, {"on": "empty"}])
async def test_a_campaign_to_nobody_finishes(settings: Settings, owner: Any, whom: dict[str, str]) -> None:
    await prepare(owner, 100)
    await owner.execute("INSERT INTO mailworkers.lead_lists (name) VALUES ('empty')")
    async with Sink() as sink, running_daemon(to(settings, sink)):
        campaign = await start(owner, **whom)
        await becomes(owner, campaign, "finished")
    said = await assert_exact(owner, campaign)
    assert (said["made"], said["expected"], len(sink.mails)) == (0, 0, 0)


@pytest.mark.one_loop
async def test_two_daemons_make_together_and_none_twice(settings: Settings, owner: Any) -> None:
    await prepare(owner, 6000)
    async with (
        Sink(keep_content=False) as sink,
        running_daemon(to(settings, sink, campaign_window=500)),
        running_daemon(to(settings, sink, campaign_window=500)),
    ):
        numbers = [await start(owner, f"campaign {n}") for n in range(3)]
        for campaign in numbers:
            await becomes(owner, campaign, "finished", 40.0)
    assert len(sink.mails) == 18_000
    for campaign in numbers:
        said = await assert_exact(owner, campaign)
        assert (said["sent"], said["expected"]) == (6000, 6000)


async def test_listeners_hear_four_times_a_second_and_the_last_word(settings: Settings, owner: Any) -> None:
    await prepare(owner, 3000)
    heard: list[tuple[float, dict[str, Any]]] = []

    def hear(_connection: object, _pid: object, _channel: object, said: str) -> None:
        heard.append((time.monotonic(), json.loads(said)))

    await owner.add_listener("mailworkers_progress", hear)
    async with (
        Sink(keep_content=False) as sink,
        running_daemon(to(settings, sink, campaign_window=200)),
        running_daemon(to(settings, sink, campaign_window=200)),
    ):
        campaign = await start(owner)
        await eventually(lambda: bool(heard) and heard[-1][1]["status"] == "finished", "the end is told")

    assert (
        heard[-1][1] | {"kind": "campaign", "id": campaign, "workspace": "default", "made": 3000, "sent": 3000}
        == heard[-1][1]
    )
    times = [moment for moment, _ in heard]
    assert all(sum(begin <= moment < begin + 1 for moment in times) <= 5 for begin in times)  # 4, and one of jitter


async def test_a_row_that_cannot_be_made_stops_its_campaign_alone(settings: Settings, owner: Any) -> None:
    await prepare(owner, 10)
    await prepare(owner, 10, "other")
    await owner.execute(
        "ALTER TABLE mailworkers.email_jobs ADD CONSTRAINT no_one CHECK (to_email <> 'reader7@b.example' OR workspace_id = 'other')"
    )
    async with Sink() as sink, running_daemon(to(settings, sink)):
        broken = await start(owner)
        good = await start(owner, workspace="other")
        await becomes(owner, broken, "stopped")
        await becomes(owner, good, "finished")
        assert "no_one" in (await progress(owner, broken))["why"]
        await owner.execute("ALTER TABLE mailworkers.email_jobs DROP CONSTRAINT no_one")
        await ask(owner, "resume", broken)
        await becomes(owner, broken, "finished")
    assert len(sink.mails) == 20


def test_what_is_held_leaves_the_buffer_and_what_goes_on_wakes_the_dispatcher() -> None:
    # given claimed jobs of two campaigns and of none
    buffer, book, woken = Buffer(), LaneBook(), asyncio.Event()
    released: list[Job] = []
    buffer.put([made_up(n, campaign=n % 3) for n in range(9)])
    settling = SimpleNamespace(release=released.extend)
    hold = _hold(book, buffer, cast("Settling", settling), cast("Heartbeat", SimpleNamespace(woken=woken)))

    # when one campaign is held, then its jobs are given back, and no others
    hold(frozenset({1}))
    assert [job.id for job in released] == [1, 4, 7]
    assert list(buffer.job_ids()) == [0, 2, 3, 5, 6, 8]
    assert not woken.is_set()

    # and when it goes on, the dispatcher hears of it
    hold(frozenset())
    assert woken.is_set()


def test_a_chunk_fits_the_time_that_a_statement_may_take() -> None:
    assert _next_chunk(1000, Made(1000, 10, 5000, False), SHORT_SECONDS / 2) == 2000
    assert _next_chunk(1000, Made(1000, 1000, 5000, False), LONG_SECONDS * 2) == 500
    assert _next_chunk(LEAST_CHUNK, Made(100, 100, 5000, False), LONG_SECONDS * 2) == LEAST_CHUNK
    assert _next_chunk(MOST_CHUNK, Made(MOST_CHUNK, 0, 5000, False), 0.0) == MOST_CHUNK
    assert _next_chunk(1000, Made(10, 10, 0, False), 0.0) == 1000


async def test_a_campaign_whose_jobs_cannot_be_made_does_not_keep_others_waiting() -> None:
    """Given two campaigns, when the first's statement fails, then the second's is made, the first's is halved, and it is told."""
    asked: list[tuple[int, int]] = []

    async def make(campaign: int, chunk: int, _window: int) -> Made:
        asked.append((campaign, chunk))
        if campaign == 1:
            raise DatabaseRefused("it took too long")
        return Made(chunk, chunk, 0, False)

    async def opened() -> list[Open]:
        return [Open(number, "running", False, False, False, None, number) for number in (1, 2)]

    making = cast("Making", SimpleNamespace(open=opened, make=make))
    campaigning = Campaigning(
        making, cast("Trouble", None), asyncio.Event(), window=lambda: 10_000, hold=lambda _held: None
    )
    await campaigning.look()
    for _ in range(2):
        with pytest.raises(DatabaseRefused):
            await campaigning.work()
    assert [campaign for campaign, _ in asked] == [1, 2, 1, 2]
    assert [chunk for campaign, chunk in asked if campaign == 1] == [1000, 500]
