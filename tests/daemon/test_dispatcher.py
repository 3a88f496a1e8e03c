"""Where the dispatcher looks for work, and what comes first: everywhere in turn, and on where a look at everything cannot be had."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from email import message_from_bytes
from email.policy import default
from typing import Any

import asyncpg
import pytest

from mailworkers.daemon.dispatcher import GUESSED_JOBS
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.claim import Claims, Head, Wish
from mailworkers.queue.states import Job
from mailworkers.settings import Settings
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

CONNECT_SECONDS = 10.0


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)


def to(settings: Settings, port: int, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, **changes})


async def is_sent(connection: Any, job: int) -> None:
    async def has_been() -> bool:
        question = "SELECT status FROM mailworkers.email_job_status WHERE job_id = $1"
        return bool(await connection.fetchval(question, job) == "sent")

    await eventually(has_been, f"job {job} is sent")


async def test_no_lane_waits_for_ever_where_there_are_more_than_one_look_brings(
    settings: Settings, app_connection: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("queue.claim", "daemon.lanes"):
        monkeypatch.setattr(f"mailworkers.{room}.MOST_HEADS", 3)
    # given more lanes than a look brings, of which the first ones have nothing that is due
    later = await owner.fetchval("SELECT now() + interval '1 h'")
    for number in range(7):
        await insert(app_connection, workspace_id=f"a{number}", scheduled_at=later)
    async with Sink() as sink, running_daemon(to(settings, sink.port, poll_seconds=60.0)):
        # when there is a mail in the last one, then it leaves without waiting for a poll
        (job,) = await insert(app_connection, workspace_id="z")
        await is_sent(owner, job)
        assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == 7


async def test_mail_goes_out_though_whole_looks_are_ended_by_their_time_out(
    settings: Settings, app_connection: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_: object) -> list[Head]:
        raise DatabaseUnavailable("the query queue/heads failed: canceling statement due to statement timeout")

    monkeypatch.setattr("mailworkers.daemon.looking.SELDOM_SECONDS", 0.0)
    monkeypatch.setattr(Claims, "heads", ended)
    async with Sink() as sink, running_daemon(to(settings, sink.port)):
        for workspace in ("one", "other"):
            (job,) = await insert(app_connection, workspace_id=workspace)
            await is_sent(owner, job)


async def test_what_a_claim_took_whose_answer_was_lost_is_sent_without_waiting(
    settings: Settings, app_connection: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.daemon.dispatcher.DISOWN_SECONDS", 3600.0)
    claim, heard = Claims.claim, [False, True]

    async def unheard(self: Claims, wishes: Sequence[Wish], daemon_id: int) -> list[Job]:
        claimed = await claim(self, wishes, daemon_id)
        if claimed and not heard.pop(0):
            raise DatabaseUnavailable("the query queue/claim failed: the connection was lost after it had committed")
        return claimed

    monkeypatch.setattr(Claims, "claim", unheard)
    async with Sink() as sink, running_daemon(to(settings, sink.port)):
        (job,) = await insert(app_connection)
        await is_sent(owner, job)
        assert len(sink.mails) == 1
    assert heard == []


async def test_urgent_mail_goes_first(settings: Settings, app_connection: Any, owner: Any) -> None:
    last = await insert(app_connection, 3, priority=50, subject="last")
    await insert(app_connection, 3, priority=-50, subject="first")
    async with Sink() as sink, running_daemon(to(settings, sink.port, min_workers=1, max_workers=1)):
        for job in last:
            await is_sent(owner, job)
    subjects = [message_from_bytes(mail.content, policy=default)["Subject"] for mail in sink.mails]
    assert subjects == ["first"] * 3 + ["last"] * 3


async def test_a_busy_daemon_asks_for_urgent_mail_between_its_claims(
    settings: Settings, app_connection: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.daemon.dispatcher.BUSY_SECONDS", 60.0)  # it asks nobody to wake it

    async def silent(talk: Talk) -> None:
        await talk.send("220 slow.example")
        await talk.expect("EHLO")
        await talk.send("250 slow.example")
        await talk.until_gone()

    # given a buffer full of a campaign's mails, claimed with an urgent one, before a relay that takes none
    await insert(app_connection, 200, priority=10, workspace_id="much")
    await insert(app_connection, workspace_id="shop")
    changes = {"poll_seconds": 60.0, "drain_seconds": 1, "min_workers": 4, "max_workers": 4}
    async with HostileServer(silent) as relay, running_daemon(to(settings, relay.port, **changes)):
        await eventually(lambda: bool(relay.talks), "the daemon has mail for the relay")

        # when another urgent one is inserted, then it is claimed though there is no room for the campaign's
        (urgent,) = await insert(app_connection, workspace_id="shop")
        claimed = "SELECT lease IS NOT NULL FROM mailworkers.email_jobs WHERE id = $1"
        await eventually(lambda: owner.fetchval(claimed, urgent), "the urgent mail is claimed")
        assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs WHERE lease IS NULL") > 0


async def test_whoever_inserts_an_idle_daemon_is_there_at_once(settings: Settings, app_connection: Any) -> None:
    """It tries first where the last work was; work elsewhere, and far more of it than it tried, waits for no poll."""
    limits = {"system_rate_per_second": 100_000, "workspace_rate_per_minute": 100_000}
    async with Sink() as sink, running_daemon(to(settings, sink.port, poll_seconds=60.0, **limits)):
        for workspace, jobs in (("one", 1), ("one", 1), ("other", 1), ("one", 3 * GUESSED_JOBS), ("other", 2)):
            before = len(sink.mails)
            await insert(app_connection, jobs, workspace_id=workspace)
            expected = before + jobs
            await eventually(lambda expected=expected: len(sink.mails) == expected, f"{jobs} mails of {workspace}", 10)  # type: ignore[misc]
