"""A daemon that comes back after its session was lost, in more than one try."""

from __future__ import annotations

from typing import Any

import pytest

from mailworkers.daemon.heartbeat import Heartbeat, Wards
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.trouble import Trouble
from mailworkers.daemon.vitals import Vitals
from mailworkers.db.pool import Database
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.leases import Leases
from mailworkers.settings import Settings
from tests.support.jobs import insert


async def test_what_is_in_flight_is_adopted_also_where_the_first_try_to_come_back_breaks_off(
    settings: Settings, database: Database, database_url: str, app_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vitals = Vitals()
    leases = Leases(database.leases, "test", 30.0)
    held: list[int] = []
    wards = Wards(rows=list, held=lambda: held, on_lost=lambda: None)
    heartbeat = Heartbeat(settings, database_url, leases, vitals, Trouble(vitals, Metrics()), wards)
    await heartbeat.establish()

    # given a mail in flight under the first lease
    await insert(app_connection)
    claims = Claims(database.claims, 60.0)
    (head,) = await claims.heads()
    wish = Wish(head.lane, head.priority, head.campaign, head.scheduled_at, head.id, 1)
    (job,) = await claims.claim([wish], heartbeat.daemon_id)
    held.append(job.id)

    # when coming back fails once after the new lease was begun
    async def fail(*_: object) -> int:
        raise DatabaseUnavailable("gone again")

    with monkeypatch.context() as broken:
        broken.setattr(leases, "adopt", fail)
        with pytest.raises(DatabaseUnavailable):
            await heartbeat.establish()
    await heartbeat.establish()

    # then the mail is this daemon's all the same: nobody else sends it again
    async with database.claims.connection("the test") as connection:
        owner = await connection.fetchval("SELECT daemon_id FROM mailworkers.email_jobs WHERE id = $1", job.id)
        alive = await connection.fetch("SELECT id FROM mailworkers.email_daemons WHERE ended_at IS NULL")
    assert owner == heartbeat.daemon_id
    assert [row["id"] for row in alive] == [heartbeat.daemon_id]
    await heartbeat.end("stopped")
