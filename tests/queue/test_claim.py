"""Claims: what is due, from each lane its share, under a lease that holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.db.queries import Queries
from mailworkers.queue.claim import DEPTH_BOUND, Bound, Claims, Head, Wish
from mailworkers.queue.leases import Leases
from mailworkers.queue.states import Lane
from tests.support.jobs import insert

DEADLINE_SECONDS = 60.0
HELD_JOBS = 20_000


async def run(database: Database, statement: str, *arguments: object) -> Any:
    async with database.acks.connection("the test") as connection:
        return await connection.fetch(statement, *arguments)


async def a_campaign(database: Database, status: str) -> int:
    (row,) = await run(
        database,
        "INSERT INTO mailworkers.campaign_sends (name, template, status) VALUES ($1, 'news@1', $1) RETURNING id",
        status,
    )
    number: int = row["id"]
    return number


async def campaign_jobs(database: Database, campaign: int, count: int) -> list[int]:
    rows = await run(
        database,
        "INSERT INTO mailworkers.email_jobs (workspace_id, campaign_id, lead_id, to_email, subject, text_body)"
        " SELECT 'a', $1, n, 'ann@example.org', 'Hello', 'Hi' FROM generate_series(1, $2::integer) AS n RETURNING id",
        campaign,
        count,
    )
    return [row["id"] for row in rows]


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database.claims, DEADLINE_SECONDS)


@pytest.fixture
async def daemon_id(database: Database) -> int:
    return (await Leases(database.leases, "test", 30.0).register()).daemon_id


def everything(heads: Sequence[Head], take: int = 100) -> list[Wish]:
    return [Wish(head.lane, head.priority, head.campaign, head.scheduled_at, head.id, take) for head in heads]


async def test_heads_show_the_first_job_of_each_lane_and_priority(claims: Claims, app_connection: Any) -> None:
    first = (await insert(app_connection, 3, workspace_id="a"))[0]
    urgent = (await insert(app_connection, workspace_id="a", priority=-5))[0]
    other = (await insert(app_connection, workspace_id="b"))[0]

    heads = await claims.heads()

    assert [(head.lane.workspace_id, head.priority, head.id) for head in heads] == [
        ("a", -5, urgent), ("a", 0, first), ("b", 0, other),
    ]  # fmt: skip
    assert all(head.due_in <= 0 for head in heads)


async def test_what_an_application_groups_by_campaign_id_is_one_front(claims: Claims, app_connection: Any) -> None:
    first, *_ = [await insert(app_connection, campaign_id=number) for number in range(5)]
    assert [(head.campaign, head.id) for head in await claims.heads()] == [(0, first[0])]


async def test_a_look_goes_on_after_the_last_head_of_the_one_before(
    claims: Claims, app_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.queue.claim.MOST_HEADS", 3)
    for workspace_id, priority in (("a", 5), ("a", -5), ("b", -100), ("b", 100), ("c", 0)):
        await insert(app_connection, workspace_id=workspace_id, priority=priority)

    first = await claims.heads()
    second = await claims.heads(first[-1])

    named = [[(head.lane.workspace_id, head.priority) for head in part] for part in (first, second)]
    assert named == [[("a", -5), ("a", 5), ("b", -100)], [("b", 100), ("c", 0)]]
    assert await claims.heads(second[-1]) == []


async def test_beyond_known_bounds_a_look_finds_what_comes_later_and_all_other_lanes(
    claims: Claims, app_connection: Any
) -> None:
    ids: dict[tuple[str, int], list[int]] = {}
    for workspace_id, priority in (("b", 0), ("b", 5), ("a", 0), ("d", 0), ("c", 0)):
        ids[workspace_id, priority] = await insert(app_connection, 3, workspace_id=workspace_id, priority=priority)
    first = {(head.lane.workspace_id, head.priority): head for head in await claims.heads()}

    def bound(workspace_id: str, priority: int, after: int) -> Bound:
        head = first[workspace_id, priority]
        return Bound(head.lane, priority, 0, head.scheduled_at, ids[workspace_id, priority][0] + after)

    known = [bound("d", 0, 3), bound("b", 5, 1), bound("b", 0, 0)]  # one of them with nothing left
    gone = Bound(Lane("bb"), 0, 0, first["a", 0].scheduled_at, 1)

    for bounds, expected in (
        ([*known, gone], {("a", 0): 0, ("b", 0): 0, ("b", 5): 1, ("c", 0): 0}),
        ([], {("a", 0): 0, ("b", 0): 0, ("b", 5): 0, ("c", 0): 0, ("d", 0): 0}),
    ):
        heads = await claims.heads_beyond(bounds)
        found = [(head.lane.workspace_id, head.priority, head.id) for head in heads]
        assert found == [(*key, ids[key][place]) for key, place in expected.items()]
    after = await claims.heads_beyond(known, first["b", 5])
    assert [head.lane.workspace_id for head in after] == ["c"]


async def test_a_head_that_is_not_due_tells_when_it_will_be(claims: Claims, app_connection: Any) -> None:
    await insert(app_connection, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    (head,) = await claims.heads()
    assert 3500 < head.due_in <= 3600


async def test_a_claim_takes_what_is_due_in_order_and_nothing_twice(
    claims: Claims, daemon_id: int, app_connection: Any
) -> None:
    ids = await insert(app_connection, 5)
    await insert(app_connection, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    wishes = everything(await claims.heads(), take=3)

    first = await claims.claim(wishes, daemon_id)
    rest = await claims.claim(wishes, daemon_id)

    assert [job.id for job in first] == ids[:3]
    assert [job.id for job in rest] == ids[3:]
    assert first[0].lease < rest[0].lease


async def test_what_another_transaction_is_claiming_is_passed_by(
    claims: Claims, daemon_id: int, app_connection: Any, database: Database
) -> None:
    ids = await insert(app_connection, 2)
    heads = await claims.heads()
    async with database.acks.connection("the other daemon") as other, other.transaction():
        await other.execute("SELECT FROM mailworkers.email_jobs WHERE id = $1 FOR UPDATE", ids[0])
        claimed = await claims.claim(everything(heads), daemon_id)
    assert [job.id for job in claimed] == [ids[1]]


async def test_nothing_is_claimed_under_a_lease_that_ended(
    claims: Claims, daemon_id: int, app_connection: Any, database: Database
) -> None:
    await insert(app_connection)
    await database.leases.execute("leases/end_own", daemon_id, "stopped")
    assert await claims.claim(everything(await claims.heads()), daemon_id) == []


async def test_each_lane_gives_its_share(claims: Claims, daemon_id: int, app_connection: Any) -> None:
    await insert(app_connection, 5, workspace_id="a")
    await insert(app_connection, 5, workspace_id="b")
    claimed = await claims.claim(everything(await claims.heads(), take=2), daemon_id)
    assert sorted(job.lane for job in claimed) == [Lane("a"), Lane("a"), Lane("b"), Lane("b")]


async def test_a_claim_goes_on_from_its_bound(claims: Claims, daemon_id: int, app_connection: Any) -> None:
    ids = await insert(app_connection, 4)
    (head,) = await claims.heads()
    claimed = await claims.claim([Wish(head.lane, 0, 0, head.scheduled_at, ids[2], 10)], daemon_id)
    assert [job.id for job in claimed] == ids[2:]


async def test_depth_counts_by_state(claims: Claims, daemon_id: int, app_connection: Any) -> None:
    await insert(app_connection, 3)
    await claims.claim(everything(await claims.heads(), take=1), daemon_id)
    depth = await claims.depth(1.5)
    assert (depth.waiting, depth.sending, depth.retrying, depth.paused) == (2, 1, 0, 0)
    assert (depth.exact, depth.oldest_due_seconds) == (True, 1.5)


async def test_beyond_its_bound_depth_says_that_it_is_not_exact(claims: Claims, app_connection: Any) -> None:
    await insert(app_connection, DEPTH_BOUND + 1)
    depth = await claims.depth(None)
    assert not depth.exact
    assert depth.waiting >= DEPTH_BOUND


async def test_due_jobs_are_counted_up_to_a_bound(claims: Claims, app_connection: Any) -> None:
    await insert(app_connection, 7)
    await insert(app_connection, 5, scheduled_at=datetime.now(UTC) + timedelta(days=1))
    heads = await claims.heads()
    assert await claims.count_due(heads, 100) == 7
    assert await claims.count_due(heads, 4) == 4


async def test_a_claim_of_large_jobs_brings_no_more_than_memory_and_time_allow(
    claims: Claims, daemon_id: int, app_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.queue.claim.MOST_OCTETS", 10_000)
    ids = await insert(app_connection, 8, text_body="x" * 4000)
    wishes = everything(await claims.heads())

    # then the job that goes beyond is the last, and the others are there for whoever comes next
    portions = [[job.id for job in await claims.claim(wishes, daemon_id)] for _ in range(3)]
    assert portions == [ids[:3], ids[3:6], ids[6:]]
    assert len(await claims.claim(wishes, daemon_id)) == 0
    (huge,) = await insert(app_connection, text_body="x" * 20_000)
    assert [job.id for job in await claims.claim(wishes, daemon_id)] == [huge]


async def test_nothing_is_claimed_of_a_paused_workspace_nor_of_a_held_campaign(
    claims: Claims, daemon_id: int, app_connection: Any, database: Database
) -> None:
    (paused,) = await insert(app_connection, workspace_id="b")
    (free,) = await insert(app_connection, workspace_id="a")
    held, running = [await a_campaign(database, status) for status in ("paused", "running")]
    (of_held,) = await campaign_jobs(database, held, 1)
    (of_running,) = await campaign_jobs(database, running, 1)
    wishes = everything(await claims.heads())
    assert {wish.campaign for wish in wishes} == {0, held, running}

    await database.claims.fetch("workspaces/pause", "b", None)
    assert {job.id for job in await claims.claim(wishes, daemon_id)} == {free, of_running}

    await database.claims.fetch("workspaces/resume", "b")
    await run(database, "UPDATE mailworkers.campaign_sends SET status = 'running'")
    assert {job.id for job in await claims.claim(wishes, daemon_id)} == {paused, of_held}


async def test_a_held_campaign_costs_a_claim_nothing_however_many_jobs_it_has(
    claims: Claims, daemon_id: int, app_connection: Any, database: Database
) -> None:
    held = await a_campaign(database, "paused")
    await insert(app_connection, 20, workspace_id="a")

    async def pages() -> int:
        query = Queries()["queue/claim"]
        given = (
            "'{a,a}', '{\"\",\"\"}', '{0,0}', '{0,%d}', '{-infinity,-infinity}', '{0,0}', '{5,500}', %d, 60, 1000000"
        )
        async with database.acks.connection("the test") as connection, connection.transaction():
            await connection.execute(f"PREPARE one AS {query}")
            plan = await connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE one ({given % (held, daemon_id)})"
            )
            await connection.execute("DEALLOCATE one")
        top = json.loads(plan)[0]["Plan"]
        assert top["Actual Rows"] == 5
        return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])

    before = await pages()
    await campaign_jobs(database, held, HELD_JOBS)
    assert await pages() <= before + 60
    assert len(await claims.heads()) == 2
