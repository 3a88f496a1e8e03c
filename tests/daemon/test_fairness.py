"""Fairness on a real database: many workspaces, and one whose mail waits for nobody else's."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from mailworkers.daemon.lanes import LaneBook
from mailworkers.db.pool import Database
from mailworkers.queue.claim import Claims
from mailworkers.queue.leases import Leases
from mailworkers.settings import Settings
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually

WORKSPACES = 1000
MAILS = int(os.environ.get("MAILWORKERS_TEST_FAIRNESS_MAILS", "20"))  # of each workspace; the full form has 1000
BATCH = 500
MOST_TIMES_MEAN = 1.5
MANY = """
INSERT INTO mailworkers.email_jobs (workspace_id, to_email, subject, text_body)
SELECT 'workspace-' || workspace, 'ann@example.org', 'Hello', 'Hi'
FROM generate_series(1, $1::integer) AS workspace, generate_series(1, $2::integer) AS mail
"""
FEW = 5


async def test_of_a_thousand_workspaces_none_is_far_ahead_of_the_others(
    database: Database, app_connection: Any
) -> None:
    await app_connection.execute(MANY, WORKSPACES, MAILS, timeout=3600)
    claims, book, got = Claims(database.claims, 900.0), LaneBook(), Counter[str]()
    daemon_id = (await Leases(database.leases, "test", 30.0).register()).daemon_id
    looked_at, wanted = 0, max(WORKSPACES * MAILS // 10, 15 * WORKSPACES)
    book.renew(await claims.heads())
    while got.total() < wanted:
        if got.total() - looked_at > 5 * BATCH:  # as the dispatcher, not for every claim
            book.renew(await claims.heads())
            looked_at = got.total()
        wishes = book.plan(lambda _priority: BATCH)
        jobs = await claims.claim(wishes, daemon_id)
        book.learn(wishes, jobs)
        got.update(job.lane.workspace_id for job in jobs)
    assert max(got.values()) <= MOST_TIMES_MEAN * got.total() / WORKSPACES
    assert len(got) == WORKSPACES


async def test_who_has_tokens_waits_for_nobody_who_has_none(settings: Settings, app_connection: Any) -> None:
    """One workspace has much to send and may not; each mail of another one wakes the daemon all the same."""
    limited = settings.model_copy(update={"workspace_rate_per_minute": 20, "poll_seconds": 60.0})
    async with (
        Sink() as sink,
        running_daemon(limited.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": sink.port})),
    ):
        await insert(app_connection, 200, workspace_id="a", priority=10)
        await eventually(lambda: len(sink.mails) >= 1, "the first mail of a is sent", 10)
        for number in range(FEW):
            await insert(app_connection, workspace_id=f"b{number}", to_email=f"b{number}@b.example")
            await eventually(
                lambda number=number: any(mail.rcpt_to == (f"b{number}@b.example",) for mail in sink.mails),  # type: ignore[misc]
                f"the mail of b{number} is sent",
                3,
            )
