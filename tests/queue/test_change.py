"""What a person changes: a job of unknown end is settled once, whoever else settles it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import Database
from mailworkers.queue.change import SETTLED, Changed, Now, Refused, settle
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import Leases
from mailworkers.queue.marks import Marks
from tests.support.jobs import insert
from tests.support.waiting import eventually

WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%mailworkers.email_sends%'"""


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    """A connection that may read and change everything."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


@pytest.fixture
async def holder(database_url: str) -> AsyncIterator[Any]:
    """Another one."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


@pytest.fixture
async def unknown(database: Database, app_connection: Any) -> int:
    """A job that was marked to go at most once when its daemon died."""
    leases = Leases(database.leases, "test", 30.0)
    daemon_id = (await leases.register()).daemon_id
    (job_id,) = await insert(app_connection, delivery="at_most_once", max_retries=5)
    claims = Claims(database.claims, 60.0)
    (head,) = await claims.heads()
    (job,) = await claims.claim(
        [Wish(head.lane, head.priority, head.campaign, head.scheduled_at, head.id, 1)], daemon_id
    )
    marks = Marks(database.leases)
    writing = asyncio.create_task(marks.run())
    assert await marks.mark(job, 10.0)
    writing.cancel()
    await leases.end_own(daemon_id, "killed")
    assert (await leases.rescue()).parked == 1
    return job_id


async def test_a_job_to_be_sent_again_is_as_it_was_inserted(
    database: Database, unknown: int, owner: asyncpg.Connection
) -> None:
    token = await owner.fetchval("SELECT content ->> 'message_token' FROM mailworkers.email_sends")

    assert await settle(database.claims, unknown, sent=False) == Changed(unknown, Now.LIVES_AGAIN)

    row = await owner.fetchrow("SELECT * FROM mailworkers.email_jobs")
    assert (row["id"], str(row["message_token"]), row["delivery"]) == (unknown, token, "at_most_once")
    assert (row["status"], row["attempts"], row["max_retries"], row["rescues"]) == ("waiting", 0, 5, 0)
    assert (row["marked_at"], row["lease"], row["daemon_id"], row["deadline"]) == (None, None, None, None)
    assert row["last_reply"].startswith(SETTLED)
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_sends") == 0


async def test_one_that_arrived_is_kept_as_sent_and_no_longer_whole(
    database: Database, unknown: int, owner: asyncpg.Connection
) -> None:
    before = dict(await owner.fetchrow("SELECT * FROM mailworkers.email_sends"))

    assert await settle(database.claims, unknown, sent=True) == Changed(unknown, Now.SENT)

    after = dict(await owner.fetchrow("SELECT * FROM mailworkers.email_sends"))
    said = after["reply"]
    assert said.startswith(SETTLED)
    assert said.endswith(f"it was sent; before: {before['reply']}")
    assert after == {**before, "status": "sent", "reply": said, "content": None}


@pytest.mark.parametrize(("one", "other"), [(True, True), (True, False), (False, False)])
async def test_of_two_persons_at_once_one_wins_and_the_other_is_told(
    database: Database, unknown: int, owner: asyncpg.Connection, holder: asyncpg.Connection, one: bool, other: bool
) -> None:
    # given two that reach the record while somebody else holds its row
    async with holder.transaction():
        await holder.execute("SELECT FROM mailworkers.email_sends FOR UPDATE")
        both = [asyncio.create_task(settle(database.claims, unknown, sent=word)) for word in (one, other)]

        async def waiting() -> bool:
            return bool(await owner.fetchval(WAITING) == len(both))

        await eventually(waiting, "both wait for the row")

    # when it is free, then one of them settles the job, and the other hears so
    outcomes = await asyncio.gather(*both)
    (won,) = [outcome for outcome in outcomes if isinstance(outcome, Changed)]
    (told,) = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert SETTLED in told.why
    ends = await owner.fetchval("SELECT count(*) FROM mailworkers.email_sends WHERE status = 'sent'")
    lives = await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs WHERE status = 'waiting'")
    assert (ends, lives) == ((1, 0) if won.now is Now.SENT else (0, 1))
