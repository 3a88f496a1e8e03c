"""Rate limits, as a whole daemon keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from mailworkers.daemon.supervisor import Running
from mailworkers.db.pool import Database
from mailworkers.settings import Settings
from tests.support.distance import Distance
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


def to(settings: Settings, port: int, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, **changes})


async def test_limits_hold(settings: Settings, app_connection: Any, database: Database) -> None:
    changes = {"worker_rate_per_minute": 40, "min_workers": 1, "max_workers": 1}
    await insert(app_connection, 20)
    async with Sink() as sink, running_daemon(to(settings, sink.port, **changes)):
        await eventually(lambda: len(sink.mails) >= 3, "the burst and one more")
    assert len(sink.mails) < 20
    async with database.claims.connection("counting") as connection:
        waiting = await connection.fetchval("SELECT count(*) FROM mailworkers.email_jobs WHERE status = 'waiting'")
    assert waiting == 20 - len(sink.mails)


async def test_a_limit_far_above_the_rate_costs_no_job_its_place(settings: Settings, app_connection: Any) -> None:
    """Tokens of a fast bucket are good for some milliseconds: they are renewed while claimed jobs wait for their turn."""
    high = {
        "system_rate_per_second": 100_000,
        "workspace_rate_per_minute": 1_000_000,
        "worker_rate_per_minute": 1_000_000,
    }
    jobs = 200
    await insert(app_connection, jobs)
    async with (
        Sink() as sink,
        Distance(sink.port, 0.03) as far,
        running_daemon(to(settings, far.port, min_workers=2, max_workers=2, **high)) as daemon,
    ):
        await eventually(lambda: len(sink.mails) == jobs, "all mails", 60)
        claimed = claims(daemon)
    # A loop that is late for longer than tokens are good for may cost a few theirs; without renewal it was every other job.
    assert jobs <= claimed < 1.1 * jobs


async def test_the_last_jobs_of_a_line_get_tokens_too(settings: Settings, app_connection: Any) -> None:
    """Each mail takes longer than tokens are good for, and nothing is left to claim that would ask for more."""
    await insert(app_connection, 10)
    async with (
        Sink(extensions=()) as sink,
        Distance(sink.port, 0.03) as far,
        running_daemon(to(settings, far.port, system_rate_per_second=100_000, min_workers=2, max_workers=2)),
    ):
        await eventually(lambda: len(sink.mails) == 10, "all mails")


SET = "INSERT INTO mailworkers.limit_settings (scope, name, tokens, seconds) VALUES ($1, $2, $3, $4)"


async def test_a_destination_shared_by_many_workspaces_costs_one_claim_a_mail(settings: Settings, owner: Any) -> None:
    # given a limit that ten workspaces share, and more mails than it lets go at once
    await owner.execute(SET, "destination", "google", 20, 1.0)
    for number in range(10):
        await insert(owner, 4, workspace_id=f"w{number}", destination_group="google")
    # when some of them have gone
    async with Sink() as sink, running_daemon(to(settings, sink.port, min_workers=2, max_workers=2)) as daemon:
        await eventually(lambda: len(sink.mails) >= 15, "some mails")
        claimed = claims(daemon)
    # then hardly any was claimed in vain
    assert claimed <= 1.4 * len(sink.mails)


async def test_what_lacks_tokens_keeps_nobody_waiting_and_goes_on_when_its_limit_is_taken_away(
    settings: Settings, owner: Any, app_connection: Any
) -> None:
    # given a workspace that has used up its one mail in ten minutes
    await owner.execute(SET, "workspace", "acme", 1, 600.0)
    await insert(app_connection, 5, workspace_id="acme")
    async with Sink() as sink, running_daemon(to(settings, sink.port, min_workers=2, max_workers=2)):
        await eventually(lambda: len(sink.mails) == 1, "the first")
        # when another has a mail, then it goes at once
        await insert(app_connection, 1, workspace_id="zoo")
        await eventually(lambda: len(sink.mails) == 2, "another workspace's", 1)
        # and when the limit is taken away, the rest goes within a moment, not when a token would have come
        await owner.execute("DELETE FROM mailworkers.limit_settings")
        await eventually(lambda: len(sink.mails) == 6, "all", 4)


def claims(daemon: Running) -> float:
    """Jobs claimed so far, each time anew."""
    page = daemon.metrics.page().decode()
    (line,) = (line for line in page.splitlines() if line.startswith("mailworkers_claim_size_jobs_sum"))
    return float(line.split()[1])


ASKS_TO_BE_WOKEN = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = hashtextextended('mailworkers.idle', 0))
"""


async def test_while_all_that_is_due_lacks_tokens_an_insert_wakes_the_daemon(settings: Settings, owner: Any) -> None:
    # given a workspace with far more mails than its limit lets go, one after the other
    await owner.execute(SET, "workspace", "acme", 50, 1.0)
    await insert(owner, 300, workspace_id="acme")
    async with Sink() as sink, running_daemon(to(settings, sink.port, min_workers=2, max_workers=2)):
        await eventually(lambda: len(sink.mails) >= 5, "its burst, and more")

        # then between two of them the daemon asks to be woken for others, though it claims again soon
        async def asks() -> bool:
            return bool(await owner.fetchval(ASKS_TO_BE_WOKEN))

        await eventually(asks, "it asks to be woken", 3)
        assert len(sink.mails) < 300
