"""What the record says of mails whose leads left while a daemon had them, and who can bring them back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.queue.ack import AckWriter, Written
from mailworkers.queue.change import Changed, Now, Refused, retry, settle
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import Leases
from mailworkers.queue.states import Failure, Job, Retry
from mailworkers.replies import FailureClass, Reply, Stage
from tests.support.campaigns import assert_exact, prepare, start

MAKE = "SELECT * FROM mailworkers.make_campaign_jobs($1, 1000, 1000)"
LEAVE = "UPDATE mailworkers.leads SET status = 'unsubscribed' WHERE id = 1"
TRIES = """
SELECT attempt, next_try_at IS NOT NULL FROM mailworkers.email_retry_jobs AS one
WHERE EXISTS (SELECT FROM mailworkers.campaign_send_leads AS its WHERE its.job_id = one.job_id AND its.lead_id = $1)
"""
RETRIED = "SELECT sum(retried) FROM mailworkers.worker_metrics"
END = "UPDATE mailworkers.email_sends SET status = $2 WHERE job_id = $1"
JOB = "SELECT job_id FROM mailworkers.campaign_send_leads WHERE lead_id = $1"
BUSY = Failure(FailureClass.PROVIDER, "later", reply=Reply(Stage.RCPT, 451, "4.3.0", "later"))


async def claimed(owner: Any, database: Database, leads: int) -> tuple[int, int, list[Job]]:
    """A campaign, a daemon, and that daemon's jobs of all its leads."""
    await prepare(owner, leads)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign)
    daemon_id = (await Leases(database.leases, "test", 30.0).register()).daemon_id
    claims = Claims(database.claims, 60.0)
    wishes = [Wish(h.lane, h.priority, h.campaign, h.scheduled_at, h.id, leads) for h in await claims.heads()]
    jobs = await claims.claim(wishes, daemon_id)
    assert len(jobs) == leads
    return campaign, daemon_id, list(jobs)


async def test_the_last_try_of_a_lead_that_has_left_has_none_after_it(owner: Any, database: Database) -> None:
    """Given three mails in a daemon's hands, when one lead leaves and all are refused for now, then two have a next try."""
    campaign, daemon_id, jobs = await claimed(owner, database, 3)
    await owner.execute(LEAVE)

    written: list[Written] = []
    writer = AckWriter(
        database.acks, lambda: daemon_id, batch=200, delay=0.0, bound=400, on_written=written.append, on_trouble=print
    )
    for job in jobs:
        writer.put(Retry(job, 60.0, BUSY))
    writing = asyncio.create_task(writer.run())
    assert await writer.flush(5)
    writing.cancel()

    assert [one.matched for one in written] == [3]
    said = await assert_exact(owner, campaign)
    assert (said["suppressed"], said["live"]) == (1, 2)
    assert await owner.fetch(TRIES, 1) == [(1, False)]
    assert await owner.fetch(TRIES, 2) == await owner.fetch(TRIES, 3) == [(1, True)]
    assert await owner.fetchval(RETRIED) == 2


async def test_an_attempt_that_outlived_its_deadline_has_none_after_it_either(owner: Any, database: Database) -> None:
    campaign, _, jobs = await claimed(owner, database, 3)
    await owner.execute(LEAVE)

    ids, leases = [job.id for job in jobs], [job.lease for job in jobs]
    async with database.leases.connection("the test") as connection:
        await connection.fetchrow(database.queries["leases/expire"], 60.0, ids, leases, "")

    assert (await assert_exact(owner, campaign))["suppressed"] == 1
    assert await owner.fetch(TRIES, 1) == [(1, False)]
    assert await owner.fetch(TRIES, 2) == [(1, True)]
    assert await owner.fetchval(RETRIED) == 2


@pytest.mark.parametrize(
    ("left", "why"),
    [
        (LEAVE, "the lead is unsubscribed"),
        ("DELETE FROM mailworkers.leads WHERE id = 1", "the lead was removed"),
    ],
)
async def test_a_mail_to_a_lead_that_has_left_cannot_be_brought_back(
    owner: Any, database: Database, left: str, why: str
) -> None:
    await prepare(owner, 2)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign)
    await owner.execute(left)
    job = await owner.fetchval(JOB, 1)

    refused = await retry(database.claims, job)

    assert refused == Refused(
        job, f"job {job} is suppressed and stays so: {why}", "Only mail to a lead that is active can be sent again"
    )
    assert (await assert_exact(owner, campaign))["suppressed"] == 1
    # of unknown end: neither
    await owner.execute(END, job, "unknown")
    for refused in (await retry(database.claims, job, even_if_perhaps_sent=True), await settle(database.claims, job, sent=False)):  # fmt: skip
        assert isinstance(refused, Refused)
        assert refused.why == f"job {job} is unknown and stays so: {why}"


async def test_a_mail_to_a_lead_that_is_active_again_is_brought_back(owner: Any, database: Database) -> None:
    await prepare(owner, 2)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign)
    await owner.execute(LEAVE)
    job = await owner.fetchval(JOB, 1)
    await owner.execute("UPDATE mailworkers.leads SET status = 'active'")

    assert await retry(database.claims, job) == Changed(job, Now.LIVES_AGAIN)
    said = await assert_exact(owner, campaign)
    assert (said["suppressed"], said["live"]) == (0, 2)


async def test_a_mail_is_not_brought_back_past_an_unsubscription_that_is_open(owner: Any, database: Database) -> None:
    """Given a lead whose unsubscription commits while a mail to it is brought back, then it ends, whoever was first."""
    await prepare(owner, 1)
    campaign = await start(owner)
    await owner.fetchrow(MAKE, campaign)
    job = await owner.fetchval(JOB, 1)
    async with database.claims.connection("the test") as connection:
        await connection.fetchval(database.queries["change/cancel"], job, "cancelled by hand")
    async with owner.transaction():
        await owner.execute(LEAVE)
        assert await retry(database.claims, job) == Changed(job, Now.LIVES_AGAIN)
    assert (await assert_exact(owner, campaign))["suppressed"] == 1
