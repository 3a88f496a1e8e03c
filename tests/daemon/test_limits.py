"""Rate limits, as a whole daemon keeps them."""

from __future__ import annotations

from typing import Any

from mailworkers.db.pool import Database
from mailworkers.settings import Settings
from tests.support.distance import Distance
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually


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
        page = daemon.metrics.page().decode()
    claimed = next(line for line in page.splitlines() if line.startswith("mailworkers_claim_size_jobs_sum"))
    # A loop that is late for longer than tokens are good for may cost a few theirs; without renewal it was every other job.
    assert jobs <= float(claimed.split()[1]) < 1.1 * jobs


async def test_the_last_jobs_of_a_line_get_tokens_too(settings: Settings, app_connection: Any) -> None:
    """Each mail takes longer than tokens are good for, and nothing is left to claim that would ask for more."""
    await insert(app_connection, 10)
    async with (
        Sink(extensions=()) as sink,
        Distance(sink.port, 0.03) as far,
        running_daemon(to(settings, far.port, system_rate_per_second=100_000, min_workers=2, max_workers=2)),
    ):
        await eventually(lambda: len(sink.mails) == 10, "all mails")
