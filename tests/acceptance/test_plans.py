"""Every query in sql/queries against 1,000,000 jobs: by an index, and with a bounded number of pages."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import server_settings
from mailworkers.db.queries import Queries
from mailworkers.settings import Settings
from tests.acceptance.arguments import ARGUMENTS, Arguments
from tests.acceptance.large_queue import LATER, add_jobs_for_later, fill
from tests.support.database import Databases
from tests.support.measured import Measured

FILL_SECONDS = 240.0
REPEATS = 5

# Tables that grow with the mails, with time or with tenants, by the beginning of their partitions' names too.
GROWING = (
    "email_jobs", "email_sends", "email_retry_jobs", "email_idempotency_keys", "email_blobs", "worker_metrics",
    "worker_rate_limits", "lead", "campaign_", "progress_tracking", "destination_domains", "warmup_days",
)  # fmt: skip
MAY_SCAN = {
    "bench/account": "the bench's own schema holds nothing but the bench's own mails",
    "bench/ended": "as above, and a row a minute and daemon",
    "demo/ends": "the demo's own database holds nothing but the demo's own mails",
    "destinations/list": "a person's command counts the domains of all groups",
    "limits/purge": "once an hour, one row a worker and workspace: an index would cost every lease more",
    "maintenance/look_for_trouble": "the first row of a table that is empty where all is well",
}
# With PostgreSQL's own planner settings, which the program never uses.
MAY_SCAN_BY_DEFAULT = MAY_SCAN | {
    "queue/depth": "most rows are in the state that is counted, and LIMIT ends the scan",
    "campaigns/running": "here are so few campaigns that a hash of them all is as good as 20 descents",
    "campaigns/segments": "here is no segment at all",
    "campaigns/remove_segment": "here is no segment at all",
}

MOST_PAGES = 1500  # of about 50,000; a bound for what touches a few rows, or a thousand of one index
MOST_PAGES_OF = {
    "bench/account": 120_000,  # as above: all jobs and all of a history, which are the bench's
    "bench/ended": 4000,  # here a day of two daemons' minutes
    "campaigns/audience": 6000,  # reads 1,000 leads that lie far apart
    "campaigns/cancel_jobs": 8000,  # moves 50 jobs to the history, and looks at all that are paused
    "campaigns/edit": 8000,  # rewrites 50 jobs, and looks as above
    "campaigns/make": 5000,  # makes 100 jobs
    "campaigns/resume": 8000,  # as an edit
    "demo/ends": 20_000,  # as above: all of a history, which is the demo's
    "leases/rescue": 40_000,  # rewrites 200 jobs of dead daemons
    "leases/expire": 10_000,  # rewrites 50 jobs past their deadline
    "maintenance/drop_partitions": 10_000,  # catalogue work
    "maintenance/purge_keys": 6000,  # looks 100 jobs up among the living and in each month, and writes their keys anew
    "maintenance/make_partitions": 10_000,
    "maintenance/purge_metrics": 8000,  # deletes a day of two daemons' minutes
    "inspect/figures": 4000,  # a day of two daemons' minutes
    "inspect/oldest_due": 8000,  # a descent for each of 750 (lane, priority)
    "queue/heads": 8000,
    "queue/heads_beyond": 8000,
    "queue/depth": 25_000,  # counts up to 10,000 jobs in each of four states
    "queue/count_due": 4000,  # counts up to 1,001 jobs in each of three lanes
    "queue/claim": 5000,  # rewrites 110 jobs
}

BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan")
EXECUTE = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE one"


@pytest.fixture
def large_database_url(databases: Databases) -> Iterator[str]:
    dsn = databases.migrated()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
async def owner(large_database_url: str) -> AsyncIterator[Any]:
    """A connection of the owner, with PostgreSQL's own settings."""
    connection = await asyncpg.connect(large_database_url, command_timeout=FILL_SECONDS)
    yield connection
    await connection.close(timeout=FILL_SECONDS)


@pytest.fixture
async def session(large_database_url: str) -> AsyncIterator[Any]:
    """A session as the daemon has them."""
    settings = Settings(instance="plans")
    connection = await asyncpg.connect(
        large_database_url, command_timeout=FILL_SECONDS, server_settings=server_settings(settings, "plans")
    )
    yield connection
    await connection.close(timeout=FILL_SECONDS)


def test_every_query_has_arguments_here() -> None:
    """A new query needs an entry in arguments.py, so that its plan is looked at."""
    assert set(ARGUMENTS) == set(Queries())
    assert set(MAY_SCAN_BY_DEFAULT) | set(MOST_PAGES_OF) <= set(ARGUMENTS)


async def test_every_query_uses_an_index_among_a_million_jobs(owner: Any, session: Any, measured: Measured) -> None:
    queries = Queries()
    # given jobs of all kinds in 150 lanes, and a long history
    await fill(owner)
    before = await _costs(session, queries)

    # when 1,000,000 jobs of the best priority are added to all lanes, due tomorrow
    await add_jobs_for_later(owner)
    after = await _costs(session, queries)

    # then a look and a claim cost what they cost before, in pages and in time, and this test would see it if not
    measured(f"with and without {LATER:,} jobs of the best priority due tomorrow: {_compared(before, after)}")
    for name, (pages, seconds) in after.items():
        assert pages <= max(2 * before[name][0], MOST_PAGES_OF[name] // 4), name
        assert seconds <= 3 * before[name][1] + 0.050, name

    assert await _problems(
        owner, "queue/mark", "SELECT count(*) FROM mailworkers.email_jobs WHERE to_email > ($1::text || $2::text)"
    )

    # and every query goes by an index: without statistics, as after a sudden import
    found = [await _problems(session, name, queries[name]) for name in ARGUMENTS]
    # with statistics
    await owner.execute("ANALYZE")
    found += [await _problems(session, name, queries[name]) for name in ARGUMENTS]
    # and by PostgreSQL's own choice, where nothing forbids it a scan
    found += [await _problems(owner, name, queries[name], MAY_SCAN_BY_DEFAULT) for name in ARGUMENTS]
    problems = [problem for some in found for problem in some]
    assert not problems, "\n".join(problems)


async def _costs(session: Any, queries: Queries) -> dict[str, tuple[int, float]]:
    """Pages and median seconds of what the dispatcher runs."""
    costs = {}
    for name in ("queue/heads", "queue/claim", "queue/count_due"):
        seconds = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            plan = await _plan(session, queries[name], ARGUMENTS[name])
            seconds.append(time.perf_counter() - began)
        costs[name] = (_pages(plan), statistics.median(seconds))
    return costs


def _compared(before: dict[str, tuple[int, float]], after: dict[str, tuple[int, float]]) -> str:
    return "; ".join(
        f"{name} {after[name][0]} / {before[name][0]} pages, {after[name][1] * 1e3:.1f} / {before[name][1] * 1e3:.1f} ms"
        for name in after
    )


async def _problems(session: Any, name: str, query: str, may_scan: Mapping[str, str] = MAY_SCAN) -> list[str]:
    """What is wrong with the plan of a query, in sentences."""
    plan = await _plan(session, query, ARGUMENTS[name])
    if name in may_scan:
        return []
    read = [node for node in _nodes(plan["Plan"]) if _grows(node) and node["Node Type"] != "ModifyTable"]
    scanned = {node["Relation Name"] for node in read if node["Node Type"] not in BY_INDEX}
    problems = [f"{name} reads {table} without an index" for table in sorted(scanned)]
    pages, most = _pages(plan), MOST_PAGES_OF.get(name, MOST_PAGES)
    if pages > most:
        problems.append(f"{name} touches {pages} pages; at most {most} are expected")
    return problems


async def _plan(session: Any, query: str, arguments: Arguments) -> dict[str, Any]:
    """How a query ran; what it did is taken back."""
    await session.execute(f"PREPARE one AS {query}")
    transaction = session.transaction()
    await transaction.start()
    try:
        given = ", ".join("NULL" if value is None else f"'{value}'" for value in arguments)
        answer = await session.fetchval(f"{EXECUTE} ({given})" if arguments else EXECUTE)
    finally:
        await transaction.rollback()
        await session.execute("DEALLOCATE one; SELECT pg_advisory_unlock_all()")
    plan: dict[str, Any] = json.loads(answer)[0]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _grows(node: dict[str, Any]) -> bool:
    return str(node.get("Relation Name", "")).startswith(GROWING)


def _pages(plan: dict[str, Any]) -> int:
    """Pages that a statement looked at, wherever they came from."""
    top = plan["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
