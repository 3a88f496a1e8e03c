"""Acks: written together, in order, and only under the lease that they belong to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mailworkers.db.pool import Database, Gateway
from mailworkers.errors import DatabaseError, DatabaseUnavailable
from mailworkers.queue.ack import AckWriter, Written, storable
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import Leases
from mailworkers.queue.states import End, Ended, Failure, Job, Result, Retry, Sent, Snooze
from mailworkers.replies import FailureClass, RefusedRecipient, Reply, Stage
from tests.support.jobs import insert, made_up
from tests.support.waiting import eventually

OK = Reply(Stage.FINAL, 250, "2.0.0", "taken as 4711")
BUSY = Reply(Stage.RCPT, 451, "4.3.0", "later, please")


class Desk:
    """A writer that runs, and what it said."""

    def __init__(self, gateway: Any, daemon_id: int, batch: int = 200, delay: float = 0.0, bound: int = 400) -> None:
        self.written: list[Written] = []
        self.troubles: list[DatabaseError] = []
        self.writer = AckWriter(
            gateway, lambda: daemon_id, batch=batch, delay=delay, bound=bound,
            on_written=self.written.append, on_trouble=self.troubles.append,
        )  # fmt: skip
        self.task = asyncio.create_task(self.writer.run())

    async def close(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def daemon_id(database: Database) -> int:
    return (await Leases(database.leases, "test", 30.0).register()).daemon_id


@pytest.fixture
async def desk(database: Database, daemon_id: int) -> AsyncIterator[Desk]:
    desk = Desk(database.acks, daemon_id)
    yield desk
    await desk.close()


async def claim(database: Database, daemon_id: int, app: Any, count: int = 1, **columns: Any) -> list[Job]:
    await insert(app, count, **columns)
    claims = Claims(database.claims, 60.0)
    wishes = [Wish(h.lane, h.priority, h.campaign, h.scheduled_at, h.id, count) for h in await claims.heads()]
    return await claims.claim(wishes, daemon_id)


async def history(database: Database, job: Job) -> Any:
    async with database.claims.connection("the test") as connection:
        return await connection.fetchrow("SELECT * FROM mailworkers.email_sends WHERE job_id = $1", job.id)


async def live(database: Database, job: Job) -> Any:
    async with database.claims.connection("the test") as connection:
        return await connection.fetchrow("SELECT * FROM mailworkers.email_jobs WHERE id = $1", job.id)


async def failures(database: Database, job: Job) -> Sequence[Any]:
    async with database.claims.connection("the test") as connection:
        rows: Sequence[Any] = await connection.fetch(
            "SELECT * FROM mailworkers.email_retry_jobs WHERE job_id = $1 ORDER BY id", job.id
        )
        return rows


async def test_a_sent_job_moves_to_the_history(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    (job,) = await claim(database, daemon_id, app_connection, campaign_id=7)
    refused = RefusedRecipient("bob@example.org", BUSY)

    desk.writer.put(Sent(job, "token@example.org", OK, (refused,)))
    assert await desk.writer.flush(5)

    row = await history(database, job)
    assert await live(database, job) is None
    assert (row["status"], row["attempts"], row["message_id"]) == ("sent", 1, "token@example.org")
    assert (row["reply"], row["reply_code"], row["enhanced_code"]) == ("taken as 4711", 250, "2.0.0")
    assert (row["campaign_id"], row["to_email"], row["content"]) == (7, "ann@example.org", None)
    assert "bob@example.org" in row["refused"]


async def test_a_permanent_failure_keeps_the_job_for_a_person(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    (job,) = await claim(database, daemon_id, app_connection)
    gone = Reply(Stage.RCPT, 550, "5.1.1", "no such user")

    desk.writer.put(Ended(job, End.FAILED, Failure(FailureClass.DATA, "no such user", reply=gone), "token@example.org"))
    assert await desk.writer.flush(5)

    row = await history(database, job)
    assert (row["status"], row["attempts"], row["reply_code"]) == ("failed", 1, 550)
    assert '"text_body": "Hi Ann"' in row["content"]
    (failure,) = await failures(database, job)
    assert (failure["class"], failure["stage"], failure["code"], failure["enhanced_code"]) == (
        "data",
        "rcpt",
        550,
        "5.1.1",
    )
    assert (failure["attempt"], failure["next_try_at"]) == (1, None)


async def test_a_retry_spends_an_attempt_and_waits(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    (job,) = await claim(database, daemon_id, app_connection)

    desk.writer.put(Retry(job, 300.0, Failure(FailureClass.PROVIDER, "later, please", reply=BUSY)))
    assert await desk.writer.flush(5)

    row = await live(database, job)
    assert (row["status"], row["attempts"], row["lease"], row["last_reply"]) == ("retrying", 1, None, "later, please")
    assert 290 < (row["scheduled_at"] - job.row["scheduled_at"]).total_seconds() < 310
    (failure,) = await failures(database, job)
    assert failure["next_try_at"] == row["scheduled_at"]


async def test_a_release_leaves_no_trace(database: Database, daemon_id: int, app_connection: Any, desk: Desk) -> None:
    (job,) = await claim(database, daemon_id, app_connection)

    desk.writer.put(Snooze(job, 0.0))
    assert await desk.writer.flush(5)

    row = await live(database, job)
    assert (row["status"], row["attempts"], row["scheduled_at"]) == ("waiting", 0, job.row["scheduled_at"])
    assert await failures(database, job) == []


async def test_how_long_the_relay_has_put_a_mail_off_is_kept_until_an_attempt_is_spent(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    async def next_claim() -> Job:
        (head,) = await Claims(database.claims, 60.0).heads()
        wish = Wish(head.lane, head.priority, head.campaign, head.scheduled_at, head.id, 1)
        (job,) = await Claims(database.claims, 60.0).claim([wish], daemon_id)
        return job

    async def put(result: Result) -> datetime | None:
        desk.writer.put(result)
        assert await desk.writer.flush(5)
        since: datetime | None = (await live(database, result.job))["put_off_since"]
        return since

    await insert(app_connection)
    first = await next_claim()
    assert first.put_off == 0
    assert await put(Snooze(first, 0.0, "no connection")) is None  # not the relay's doing
    began = await put(Snooze(await next_claim(), 0.0, "slower", put_off=True))
    assert began is not None
    second = await next_claim()
    assert 0 < second.put_off < 60
    assert await put(Snooze(second, 0.0)) == began
    assert await put(Snooze(await next_claim(), 0.0, "slower", put_off=True)) == began
    assert await failures(database, second) == []
    assert await put(Retry(await next_claim(), 0.0, Failure(FailureClass.NETWORK, "cut"))) is None


async def test_a_result_under_another_lease_changes_nothing(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    (job,) = await claim(database, daemon_id, app_connection)
    zombie = replace(job, lease=job.lease - 1)

    desk.writer.put(Sent(zombie, "token@example.org", OK))
    desk.writer.put(Retry(zombie, 5.0, Failure(FailureClass.NETWORK, "cut")))
    desk.writer.put(Ended(zombie, End.FAILED, Failure(FailureClass.DATA, "no")))
    assert await desk.writer.flush(5)

    assert (await live(database, job))["status"] == "sending"
    assert await history(database, job) is None
    assert sum(written.matched for written in desk.written) == 0


async def test_results_of_all_kinds_share_a_group_commit(
    database: Database, daemon_id: int, app_connection: Any
) -> None:
    jobs = await claim(database, daemon_id, app_connection, 30)
    desk = Desk(database.acks, daemon_id, batch=30, delay=10.0)
    for job in jobs[:10]:
        desk.writer.put(Sent(job, "a@example.org", OK))
    for job in jobs[10:20]:
        desk.writer.put(Retry(job, 5.0, Failure(FailureClass.NETWORK, "cut")))
    for job in jobs[20:]:
        desk.writer.put(Snooze(job, 1.0, "slower, please"))

    await eventually(lambda: bool(desk.written), "the group commit")

    assert [(len(written.results), written.matched) for written in desk.written] == [(30, 30)]
    await desk.close()


async def test_figures_of_the_minute_are_kept_with_the_record(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    jobs = await claim(database, daemon_id, app_connection, 3)
    desk.writer.put(Sent(jobs[0], "a@example.org", OK))
    desk.writer.put(Retry(jobs[1], 5.0, Failure(FailureClass.NETWORK, "cut")))
    desk.writer.put(Ended(jobs[2], End.ABANDONED, Failure(FailureClass.NETWORK, "cut")))
    assert await desk.writer.flush(5)
    async with database.claims.connection("the test") as connection:
        row = await connection.fetchrow(
            "SELECT sum(sent) AS sent, sum(retried) AS retried, sum(abandoned) AS abandoned FROM mailworkers.worker_metrics"
        )
    assert (row["sent"], row["retried"], row["abandoned"]) == (1, 1, 1)


async def test_results_that_change_no_figure_leave_no_figures(
    database: Database, daemon_id: int, app_connection: Any, desk: Desk
) -> None:
    (job,) = await claim(database, daemon_id, app_connection)
    zombie = replace(job, lease=job.lease - 1)
    desk.writer.put(Ended(zombie, End.FAILED, Failure(FailureClass.DATA, "no")))
    desk.writer.put(Snooze(job, 0.0))
    assert await desk.writer.flush(5)
    async with database.claims.connection("the test") as connection:
        assert await connection.fetchval("SELECT count(*) FROM mailworkers.worker_metrics") == 0


class Flaky:
    """A gateway that fails until it is mended."""

    def __init__(self, gateway: Gateway) -> None:
        self.broken = True
        self._gateway = gateway

    async def fetchval(self, name: str, *args: Any) -> Any:
        if self.broken:
            raise DatabaseUnavailable("the cable is pulled")
        return await self._gateway.fetchval(name, *args)


async def test_while_writing_fails_the_writer_says_so_and_loses_nothing(
    database: Database, daemon_id: int, app_connection: Any
) -> None:
    (job,) = await claim(database, daemon_id, app_connection)
    flaky = Flaky(database.acks)
    desk = Desk(flaky, daemon_id, bound=1)

    desk.writer.put(Sent(job, "a@example.org", OK))
    await eventually(lambda: desk.writer.stalled, "the writer stalls")
    assert (desk.writer.unwritten, desk.writer.has_room) == (1, False)

    flaky.broken = False
    assert await desk.writer.flush(10)
    assert (await history(database, job))["status"] == "sent"
    assert (desk.writer.stalled, desk.writer.has_room, desk.written[0].repeated) == (False, True, True)
    await desk.close()


async def test_at_the_bound_there_is_no_room_until_results_are_written(database: Database, daemon_id: int) -> None:
    flaky = Flaky(database.acks)
    desk = Desk(flaky, daemon_id, bound=3)
    for number in range(3):
        desk.writer.put(Sent(made_up(number), "a@example.org", OK))
    assert not desk.writer.has_room
    waiting = asyncio.create_task(desk.writer.wait_for_room())
    flaky.broken = False
    await asyncio.wait_for(waiting, 10)
    assert desk.writer.has_room
    await desk.close()


async def test_a_cancelled_writer_keeps_what_it_was_writing(database: Database, daemon_id: int) -> None:
    desk = Desk(Flaky(database.acks), daemon_id)
    desk.writer.put(Sent(made_up(1), "a@example.org", OK))
    await eventually(lambda: desk.writer.stalled, "the writer stalls")
    await desk.close()
    assert desk.writer.unwritten == 1


def test_a_relays_words_are_made_fit_for_the_database() -> None:
    assert storable("a\x00b") == "a\ufffdb"
    assert storable("\ud800") == "?"
    assert len(storable("x" * 5000)) == 2000
