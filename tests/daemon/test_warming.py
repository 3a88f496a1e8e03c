"""A whole daemon while senders are being warmed up: what goes today, what waits, and what it costs the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest

from mailworkers.campaigns.watching import watch
from mailworkers.daemon.warming import SPREAD_SECONDS
from mailworkers.settings import Settings
from tests.support import campaigns, warm_ups
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually
from tests.support.warm_ups import SENDER

NEWS = f"news@{SENDER}"
CAMPAIGN = {"from_email": NEWS, "campaign_id": 7}


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as relay:
        yield relay


def to(settings: Settings, sink: Sink, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port, "max_workers": 4, **changes})


async def all_settled(owner: Any) -> None:
    """Nothing is due, and nothing on its way."""

    async def settled() -> bool:
        return not await owner.fetchval(
            "SELECT EXISTS (SELECT FROM mailworkers.email_jobs WHERE status = 'sending' OR scheduled_at <= now())"
        )

    await eventually(settled, "every mail was sent or waits")


async def figures(owner: Any, group: str = "*") -> tuple[int, int, int]:
    """Granted, sent and refused today."""
    row = await owner.fetchrow(
        "SELECT granted, sent, refused FROM mailworkers.warm_up_status WHERE destination_group = $1", group
    )
    return tuple(row)


def senders(sink: Sink) -> Counter[str]:
    return Counter(mail.mail_from for mail in sink.mails)


async def test_the_rest_waits_for_tomorrow_and_spends_no_attempt(settings: Settings, owner: Any, sink: Sink) -> None:
    # given a sender that may send five mails today and eight tomorrow, and twelve mails of it
    await warm_ups.start(owner, 5, 8)
    await insert(owner, 12, **CAMPAIGN, destination_group="")
    # when a daemon runs
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
        # then five are sent, and the others are due within tomorrow's first hour, untried
        assert senders(sink) == {NEWS: 5}
    assert await figures(owner) == (5, 5, 0)
    waiting = await owner.fetch(
        "SELECT job.*, day.next_day_at FROM mailworkers.email_jobs AS job, mailworkers.warm_up_status AS day"
    )
    assert len(waiting) == 7
    for job in waiting:
        assert (job["status"], job["attempts"], job["put_off_since"]) == ("waiting", 0, None)
        assert -2 <= (job["scheduled_at"] - job["next_day_at"]).total_seconds() <= SPREAD_SECONDS + 2
        assert job["last_reply"] == f"the warm-up of {SENDER} has used the 5 mails of day 1: it goes on tomorrow"
    # and when the next day comes, all the rest goes, and the day after the warm-up is over
    await warm_ups.a_day_passes(owner)
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
        assert senders(sink) == {NEWS: 12}
    await warm_ups.a_day_passes(owner)
    await insert(owner, 20, **CAMPAIGN)
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
    assert senders(sink) == {NEWS: 32}
    assert await owner.fetchval("SELECT status FROM mailworkers.warmups") == "finished"


async def test_others_go_on(settings: Settings, owner: Any, sink: Sink) -> None:
    # given a sender whose quota for one provider is used up soon
    await warm_ups.start(owner, 100, google=2)
    # when it sends there, elsewhere and without a campaign, and another sender sends there too
    await insert(owner, 6, **CAMPAIGN, destination_group="google")
    await insert(owner, 6, **CAMPAIGN, destination_group="yahoo")
    await insert(owner, 3, from_email=NEWS, destination_group="google", priority=20)
    await insert(owner, 4, from_email="info@shop.example", destination_group="google", campaign_id=7)
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
    # then only what is beyond that one quota waits
    assert senders(sink) == {NEWS: 2 + 6 + 3, "info@shop.example": 4}
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == 4
    # and what did not wait is counted beyond it
    assert await figures(owner, "google") == (5, 5, 0)
    assert await figures(owner) == (6, 6, 0)


async def test_a_campaign_is_left_where_it_stands_until_tomorrow(settings: Settings, owner: Any, sink: Sink) -> None:
    # given a campaign to sixty readers, forty of them at one provider, whose sender may send eleven mails today, one there
    await warm_ups.start(owner, 10, 10**6, google=1)
    await campaigns.prepare(owner, 60)
    await owner.execute("UPDATE mailworkers.leads SET email = replace(email, '@a.example', '@b.example')")
    campaign = await campaigns.create(owner)
    await owner.execute("UPDATE mailworkers.campaign_sends SET from_email = $1", NEWS)
    small = to(settings, sink, claim_batch=4, max_workers=1, min_workers=1)
    async with running_daemon(small) as running:
        await campaigns.ask(owner, "start", campaign)

        async def all_made() -> bool:
            return bool((await campaigns.progress(owner, campaign))["made"] == 60)

        # when what may go has gone
        await eventually(all_made, "its mails are made")
        await eventually(lambda: len(sink.mails) == 11, "the quotas are used up")
        # then mails that do not wait still go at once, in the same lane
        await insert(owner, 1, from_email=NEWS, to_email="reset@b.example")
        await eventually(lambda: len(sink.mails) == 12, "the urgent mail went")
        # and most of the campaign was never claimed: it is due, and left alone
        claimed = await owner.fetchval(
            "SELECT count(*) FROM mailworkers.email_jobs WHERE scheduled_at > now() OR status = 'sending'"
        )
        assert 2 <= claimed <= 20
        # and who watches it is told why
        async with aclosing(watch(running.database, small, campaign)) as watching:
            seen = await anext(watching)
        assert [hold.partition(":")[0] for hold in seen.holds] == [
            f"the warm-up of {SENDER} has sent its 10 mails of today",
            f"the warm-up of {SENDER} has sent its 1 mails of today to google",
        ]
        assert running.vitals.queue is None or running.vitals.queue.oldest_due_seconds is None
        # and when the warm-up ends, the rest goes
        await owner.execute("SELECT mailworkers.stop_warm_up($1)", SENDER)
        await eventually(lambda: running.vitals.warm_ups == 0, "the daemon knows that it has ended")
        await owner.execute("UPDATE mailworkers.email_jobs SET scheduled_at = now() WHERE scheduled_at > now()")
        await campaigns.becomes(owner, campaign, "finished")
    assert senders(sink) == {NEWS: 61}


async def test_mail_without_a_campaign_waits_where_the_warm_up_says_so(
    settings: Settings, owner: Any, sink: Sink
) -> None:
    await warm_ups.start(owner, 2)
    await owner.execute("UPDATE mailworkers.warmups SET hold_all = true")
    await insert(owner, 5, from_email=NEWS)
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
    assert len(sink.mails) == 2


async def test_the_default_sender_is_warmed_up_as_well(settings: Settings, owner: Any, sink: Sink) -> None:
    await warm_ups.start(owner, 2, sender=str(settings.from_email))
    await insert(owner, 5, campaign_id=7)
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
    assert len(sink.mails) == 2


async def test_refusals_halt_it_until_a_person_resumes(settings: Settings, owner: Any) -> None:
    # given a relay that knows some recipients only
    gone = [f"gone{n}@other.example" for n in range(4)]
    async with Sink(refusals=dict.fromkeys(gone, "550 5.1.1 no such user")) as sink:
        await warm_ups.start(owner, 1000)
        await owner.execute("UPDATE mailworkers.warmups SET refusals_least = 10, refusals_percent = 30")
        for address in gone:
            await insert(owner, 1, **CAMPAIGN, to_email=address, priority=-10)
        await insert(owner, 6, **CAMPAIGN, priority=-5)
        async with running_daemon(to(settings, sink)) as running:
            # when too many are refused
            await eventually(lambda: "warm_up" in running.vitals.warnings, "the warm-up halted")
            # then health says why, and later mails wait for a person
            why = f"the warm-up of {SENDER} is halted (4 of 10 mails were refused: 40.0 %, above 30 %): its mails wait for"
            assert running.vitals.warnings["warm_up"] == f"{why} `mailworkers warmup resume {SENDER}`"
            await insert(owner, 3, **CAMPAIGN)
            await all_settled(owner)
            assert len(sink.mails) == 6
            reply = await owner.fetchval("SELECT last_reply FROM mailworkers.email_jobs LIMIT 1")
            assert reply.startswith(why)
            # and when somebody resumes, they go
            await owner.execute("SELECT mailworkers.resume_warm_up($1)", SENDER)
            await eventually(lambda: "warm_up" not in running.vitals.warnings, "the daemon knows")
            await owner.execute("UPDATE mailworkers.email_jobs SET scheduled_at = now()")
            await eventually(lambda: len(sink.mails) == 9, "the mails went")
    assert await figures(owner) == (13, 9, 4)


async def test_a_start_and_a_stop_act_while_a_daemon_runs(settings: Settings, owner: Any, sink: Sink) -> None:
    async with running_daemon(to(settings, sink)) as running:
        await warm_ups.start(owner, 3)
        await eventually(lambda: running.vitals.warm_ups == 1, "the daemon knows of it")
        await insert(owner, 4, **CAMPAIGN)
        await all_settled(owner)
        assert len(sink.mails) == 3

        await owner.execute("SELECT mailworkers.stop_warm_up($1)", SENDER)
        await eventually(lambda: running.vitals.warm_ups == 0, "the daemon knows that it has ended")
        await insert(owner, 4, **CAMPAIGN)
        await all_settled(owner)
        assert len(sink.mails) == 7


async def test_a_relay_that_puts_mails_off_uses_up_no_quota(settings: Settings, owner: Any) -> None:
    # given a relay that asks for less
    async with Sink(refusals={"ann@example.org": "450 4.7.1 try again in 2 hours"}) as sink:
        await warm_ups.start(owner, 3)
        await insert(owner, 1, **CAMPAIGN)
        async with running_daemon(to(settings, sink)):
            await all_settled(owner)
    # then nothing of the day is used
    assert await figures(owner) == (0, 0, 0)


async def test_waiting_for_a_warm_up_is_not_being_put_off_by_the_relay(
    settings: Settings, owner: Any, sink: Sink
) -> None:
    # given a mail that the relay has put off for longer than one is kept for
    await warm_ups.start(owner, 0)
    (job,) = await insert(owner, 1, **CAMPAIGN)
    await owner.execute("UPDATE mailworkers.email_jobs SET put_off_since = now() - interval '30 days'")
    # when it waits for its sender's warm-up
    async with running_daemon(to(settings, sink)):
        await all_settled(owner)
    # then that is forgotten, and it is not counted as throttled
    assert await owner.fetchval("SELECT put_off_since FROM mailworkers.email_jobs WHERE id = $1", job) is None
    assert not await owner.fetchval("SELECT coalesce(sum(snoozed), 0) FROM mailworkers.worker_metrics")
