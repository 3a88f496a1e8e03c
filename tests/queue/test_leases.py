"""Leases: who lives, who is dead, and what becomes of a dead daemon's jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseUnavailable
from mailworkers.mail.row import SenderDefaults, message_from_row
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import MOST_RESCUES, LeaseClock, Leases, Registration, WorkerRow
from mailworkers.queue.marks import Marks
from mailworkers.queue.presence import Presence
from mailworkers.queue.sightings import SUSPICION_SECONDS
from mailworkers.queue.states import Job
from mailworkers.settings import Settings
from tests.support.clock import Clock
from tests.support.jobs import insert
from tests.support.waiting import eventually

LEASE_SECONDS = 30.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database.leases, "test", LEASE_SECONDS, clock)


@pytest.fixture
async def presence(settings: Settings, database_url: str) -> AsyncIterator[Presence]:
    presence = await Presence.open(settings, database_url, asyncio.Event())
    yield presence
    await presence.close()


async def begin(leases: Leases, presence: Presence) -> Registration:
    registration = await leases.register()
    assert await presence.prove(registration.daemon_id)
    assert await leases.vouch(registration.daemon_id)
    return registration


async def claim(database: Database, daemon_id: int, app: Any, **columns: Any) -> Job:
    await insert(app, **columns)
    claims = Claims(database.claims, 60.0)
    wishes = [Wish(h.lane, h.priority, h.campaign, h.scheduled_at, h.id, 1) for h in await claims.heads()]
    (job,) = await claims.claim(wishes, daemon_id)
    return job


async def run(database: Database, sql: str, *args: Any) -> Any:
    async with database.claims.connection("the test") as connection:
        return await connection.fetchrow(sql, *args)


async def test_numbers_only_grow_and_names_are_told_apart(leases: Leases, presence: Presence) -> None:
    first = await begin(leases, presence)
    second = await leases.register()
    assert second.daemon_id > first.daemon_id
    assert (first.ordinal, second.ordinal) == (1, 2)


async def test_daemons_that_register_at_once_get_different_numbers(settings: Settings, database_url: str) -> None:
    databases = [await Database.connect(settings, database_url) for _ in range(4)]
    registrations = await asyncio.gather(*(Leases(one.leases, "test", 30.0).register() for one in databases))
    assert sorted(registration.ordinal for registration in registrations) == [1, 2, 3, 4]
    for one in databases:
        await one.close()


async def test_a_restarted_daemon_gets_its_old_number_among_its_name_at_once(
    leases: Leases, presence: Presence, database: Database
) -> None:
    await begin(leases, presence)
    await presence.close()  # as a kill does: the session is gone, its row still says that the lease holds

    async def registered_as_first() -> bool:
        return (await leases.register()).ordinal == 1

    await eventually(registered_as_first, "PostgreSQL notices the closed session")


async def test_renewing_tells_about_the_workers(leases: Leases, presence: Presence, database: Database) -> None:
    daemon = (await begin(leases, presence)).daemon_id
    for sent in (1, 2):
        assert await leases.renew(daemon, [WorkerRow(1, "test#1/1", "sending", sent, 0, 3.0)])
    row = await run(database, "SELECT * FROM mailworkers.email_workers WHERE daemon_id = $1", daemon)
    assert (row["name"], row["state"], row["sent"]) == ("test#1/1", "sending", 2)


async def test_an_ended_lease_cannot_be_renewed(leases: Leases, presence: Presence) -> None:
    daemon = (await begin(leases, presence)).daemon_id
    await leases.end_own(daemon, "stopped")
    assert not await leases.renew(daemon, [])


async def test_a_daemon_whose_session_is_there_is_left_alone(leases: Leases, presence: Presence) -> None:
    await begin(leases, presence)
    assert await leases.end_dead([]) == []
    assert await leases.end_dead([]) == []


async def test_a_daemon_is_dead_when_its_lock_is_free_twice_two_seconds_apart(
    leases: Leases, presence: Presence, database: Database, clock: Clock
) -> None:
    daemon = (await begin(leases, presence)).daemon_id
    await presence.close()

    async def is_free() -> bool:
        rows = await database.leases.fetch("leases/others", [])
        return bool(rows[0]["lock_free"])

    await eventually(is_free, "the free lock is seen")
    assert await leases.end_dead([]) == []  # once is not enough
    clock.now += SUSPICION_SECONDS - 0.1
    assert await leases.end_dead([]) == []  # nor is twice within the two seconds
    clock.now += 0.1
    assert await leases.end_dead([]) == [daemon]
    assert await leases.end_dead([]) == []


async def test_suspicion_ends_when_the_session_is_back(leases: Leases, presence: Presence, clock: Clock) -> None:
    daemon = (await leases.register()).daemon_id
    await leases.vouch(daemon)  # without the lock
    assert await leases.end_dead([]) == []
    assert await presence.prove(daemon)
    for _ in range(3):
        clock.now += SUSPICION_SECONDS
        assert await leases.end_dead([]) == []


async def test_a_dead_daemons_jobs_run_again_with_no_attempt_spent(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemon = (await leases.register()).daemon_id
    job = await claim(database, daemon, app_connection)
    await leases.end_own(daemon, "killed")

    rescued = await leases.rescue()

    row = await run(database, "SELECT * FROM mailworkers.email_jobs WHERE id = $1", job.id)
    assert (rescued.again, rescued.parked) == (1, 0)
    assert (row["status"], row["attempts"], row["rescues"], row["lease"]) == ("waiting", 0, 1, None)


async def test_jobs_of_a_daemon_that_ended_long_ago_are_not_forgotten(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemon = (await leases.register()).daemon_id
    await claim(database, daemon, app_connection)
    await run(
        database, "UPDATE mailworkers.email_daemons SET ended_at = now() - interval '30 days' WHERE id = $1", daemon
    )
    await database.leases.execute("leases/forget")
    assert (await leases.rescue()).again == 1


async def test_jobs_of_a_daemon_that_nobody_knows_run_again(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    forgotten, living = [(await leases.register()).daemon_id for _ in range(2)]
    await run(database, "DELETE FROM mailworkers.email_daemons WHERE id = $1", forgotten)
    await claim(database, living, app_connection)
    for unknown in (living + 1, living + 2, forgotten):
        job = await claim(database, living, app_connection)
        await run(database, "UPDATE mailworkers.email_jobs SET daemon_id = $2 WHERE id = $1", job.id, unknown)

    taken = [(await leases.rescue()).again for _ in range(3)]

    assert taken == [2, 1, 0]  # beyond the newest daemon's, one number at a time
    held = await run(database, "SELECT array_agg(daemon_id) AS by FROM mailworkers.email_jobs WHERE status = 'sending'")
    assert held["by"] == [living]


async def test_a_rescue_looks_between_the_living_however_many_have_ended(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemons = [(await leases.register()).daemon_id for _ in range(5)]
    for daemon in daemons:
        await claim(database, daemon, app_connection)
    for daemon in (daemons[0], daemons[2], daemons[4]):
        await leases.end_own(daemon, "killed")

    assert (await leases.rescue()).again == 3

    held = await run(
        database, "SELECT array_agg(daemon_id ORDER BY 1) AS by FROM mailworkers.email_jobs WHERE status = 'sending'"
    )
    assert held["by"] == [daemons[1], daemons[3]]


async def test_a_living_daemons_jobs_are_not_touched(leases: Leases, database: Database, app_connection: Any) -> None:
    daemon = (await leases.register()).daemon_id
    await claim(database, daemon, app_connection)
    assert (await leases.rescue()).again == 0
    assert (await leases.expire(300.0, 0.0)).again == 0


async def test_a_marked_job_is_parked_as_unknown_and_an_unmarked_one_runs_again(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemon = (await leases.register()).daemon_id
    marked = await claim(database, daemon, app_connection, delivery="at_most_once")
    unmarked = await claim(database, daemon, app_connection, delivery="at_most_once")
    marks = Marks(database.leases)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(marks.run())
        assert await marks.mark(marked, 5.0)
        writing.cancel()
    await leases.end_own(daemon, "killed")

    rescued = await leases.rescue()

    assert (rescued.again, rescued.parked) == (1, 1)
    record = await run(database, "SELECT * FROM mailworkers.email_sends WHERE job_id = $1", marked.id)
    again = await run(database, "SELECT * FROM mailworkers.email_jobs WHERE id = $1", unmarked.id)
    assert (record["status"], again["status"]) == ("unknown", "waiting")
    assert "may have been sent" in record["reply"]


async def test_a_mark_under_a_lost_lease_is_refused(leases: Leases, database: Database, app_connection: Any) -> None:
    daemon = (await leases.register()).daemon_id
    job = await claim(database, daemon, app_connection, delivery="at_most_once")
    await leases.end_own(daemon, "killed")
    await leases.rescue()
    marks = Marks(database.leases)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(marks.run())
        assert not await marks.mark(job, 5.0)
        writing.cancel()


async def test_a_job_that_saw_many_daemons_die_is_abandoned(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemon = (await leases.register()).daemon_id
    job = await claim(database, daemon, app_connection)
    await run(database, "UPDATE mailworkers.email_jobs SET rescues = $2 WHERE id = $1", job.id, MOST_RESCUES - 1)
    await leases.end_own(daemon, "killed")
    assert (await leases.rescue()).parked == 1
    record = await run(database, "SELECT * FROM mailworkers.email_sends WHERE job_id = $1", job.id)
    assert (record["status"], record["content"] is not None) == ("abandoned", True)


@pytest.mark.parametrize(
    ("columns", "recorded"),
    [({}, True), ({"from_email": "shop@Firm.example"}, True), ({"from_email": "shop@büro.example"}, False)],
    ids=["the default sender", "the row's", "an internationalized domain"],
)
@pytest.mark.parametrize("how", ["its daemons died", "it outlived its deadline"])
async def test_a_job_that_is_given_up_keeps_its_message_id_and_counts(
    leases: Leases, database: Database, app_connection: Any, columns: dict[str, str], recorded: bool, how: str
) -> None:
    """Given a job that was tried, when it is given up from outside, then its record names the Message-ID that went out, and the
    figures of the daemon that held it count it."""
    daemon = (await leases.register()).daemon_id
    job = await claim(database, daemon, app_connection, max_retries=0, **columns)
    went_out = message_from_row(job.row, SenderDefaults("me@shop.example")).message_id

    if how == "its daemons died":
        await run(database, "UPDATE mailworkers.email_jobs SET rescues = $2 WHERE id = $1", job.id, MOST_RESCUES - 1)
        await leases.end_own(daemon, "killed")
        parked = await leases.rescue("shop.example")
    else:
        await run(database, "UPDATE mailworkers.email_jobs SET deadline = now() - interval '1 s' WHERE id = $1", job.id)
        parked = await leases.expire(300.0, 0.0, "shop.example")

    assert parked.parked == 1
    record = await run(database, "SELECT * FROM mailworkers.email_sends WHERE job_id = $1", job.id)
    assert record["message_id"] == (went_out if recorded else None)
    figures = await run(database, "SELECT * FROM mailworkers.worker_metrics WHERE daemon_id = $1", daemon)
    assert (figures["abandoned"], figures["unknown"], figures["retried"]) == (1, 0, 0)


async def test_after_a_lost_session_the_process_keeps_what_it_answers_for(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    before = (await leases.register()).daemon_id
    in_flight = await claim(database, before, app_connection)
    forgotten = await claim(database, before, app_connection)
    after = (await leases.register()).daemon_id

    assert await leases.adopt(after, [before], [in_flight.id, 4711]) == 1
    rescued = await leases.rescue()

    row = await run(database, "SELECT * FROM mailworkers.email_jobs WHERE id = $1", in_flight.id)
    assert (row["status"], row["daemon_id"], row["lease"]) == ("sending", after, in_flight.lease)
    assert rescued.again == 1
    assert (await run(database, "SELECT * FROM mailworkers.email_jobs WHERE id = $1", forgotten.id))[
        "status"
    ] == "waiting"


async def test_without_a_sender_no_message_id_is_made_up(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemon = (await leases.register()).daemon_id
    job = await claim(database, daemon, app_connection, max_retries=0)
    await run(database, "UPDATE mailworkers.email_jobs SET deadline = now() - interval '1 s' WHERE id = $1", job.id)

    await leases.expire(300.0, 0.0)

    record = await run(database, "SELECT * FROM mailworkers.email_sends WHERE job_id = $1", job.id)
    assert record["message_id"] is None


async def test_a_claim_whose_answer_was_lost_is_let_go(leases: Leases, database: Database, app_connection: Any) -> None:
    daemon = (await leases.register()).daemon_id
    known = await claim(database, daemon, app_connection)
    unheard = await claim(database, daemon, app_connection)

    assert await leases.disown(daemon, [known.id]) == 1

    rows = [
        await run(database, "SELECT * FROM mailworkers.email_jobs WHERE id = $1", job.id) for job in (known, unheard)
    ]
    assert [(row["status"], row["attempts"]) for row in rows] == [("sending", 0), ("waiting", 0)]


async def test_an_attempt_past_its_deadline_is_given_up_though_its_daemon_lives(
    leases: Leases, database: Database, app_connection: Any
) -> None:
    daemon = (await leases.register()).daemon_id
    job = await claim(database, daemon, app_connection, max_retries=1)
    for expected in ("retrying", "abandoned"):
        await run(database, "UPDATE mailworkers.email_jobs SET deadline = now() - interval '1 s' WHERE id = $1", job.id)
        await leases.expire(300.0, 0.0)
        row = await run(database, "SELECT * FROM mailworkers.email_job_status WHERE job_id = $1", job.id)
        assert row["status"] == expected
        figures = await run(database, "SELECT * FROM mailworkers.worker_metrics WHERE daemon_id = $1", daemon)
        assert (figures["retried"], figures["abandoned"]) == (1, int(expected == "abandoned"))
        if expected == "retrying":
            await run(
                database,
                "UPDATE mailworkers.email_jobs SET status = 'sending', lease = 99, daemon_id = $2, deadline = now() WHERE id = $1",
                job.id, daemon,
            )  # fmt: skip
    row = await run(database, "SELECT count(*) AS n FROM mailworkers.email_retry_jobs WHERE job_id = $1", job.id)
    assert row["n"] == 2


async def test_a_lost_session_is_noticed(presence: Presence, database: Database) -> None:
    await run(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mailworkers presence%' "
        "AND datname = current_database()",
    )
    await asyncio.wait_for(presence.lost.wait(), 10)
    with pytest.raises(DatabaseUnavailable):
        await presence.check()


def test_a_lease_is_trusted_from_before_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("mailworkers.queue.leases.lease_time", lambda: now)
    clock = LeaseClock(30.0)
    assert not clock.holds
    clock.renewed(asked_at=95.0)
    now = 124.9
    assert clock.holds
    now = 125.0
    assert not clock.holds
