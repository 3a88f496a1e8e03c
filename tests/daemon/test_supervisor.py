"""A daemon's whole life on a real database and real sockets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import asyncpg
import pytest

from mailworkers.daemon.heartbeat import CHECK_SECONDS
from mailworkers.daemon.settling import RECIPIENTS_IN_A_ROW
from mailworkers.errors import SchemaMismatch
from mailworkers.settings import Settings
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually


async def status(connection: Any, job: int) -> str:
    found: str = await connection.fetchval("SELECT status FROM mailworkers.email_job_status WHERE job_id = $1", job)
    return found


async def becomes(connection: Any, job: int, wanted: str) -> None:
    async def has_become() -> bool:
        return await status(connection, job) == wanted

    await eventually(has_become, f"job {job} becomes {wanted}")


@pytest.fixture
async def owner(database_url: str) -> Any:
    """A connection that may read and change everything."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


def to(settings: Settings, port: int, **changes: Any) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, **changes})


async def test_inserted_rows_become_mails_and_a_record(settings: Settings, app_connection: Any, owner: Any) -> None:
    async with Sink() as sink, running_daemon(to(settings, sink.port)):
        ids = await insert(app_connection, 50, cc=["bob@example.org"], bcc=["eve@example.org"], html_body="<p>Hi</p>")
        for job in ids:
            await becomes(owner, job, "sent")

    assert len(sink.mails) == 50
    assert set(sink.message_ids.values()) == {1}
    mail = message_from_bytes(sink.mails[0].content, policy=default)
    assert sink.mails[0].rcpt_to == ("ann@example.org", "bob@example.org", "eve@example.org")
    assert (mail["To"], mail["Cc"], mail["Bcc"]) == ("ann@example.org", "bob@example.org", None)
    record = await owner.fetchrow(
        "SELECT * FROM mailworkers.email_sends WHERE message_id = $1", mail["Message-ID"][1:-1]
    )
    assert (record["status"], record["attempts"]) == ("sent", 1)
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == 0


async def test_an_idle_daemon_is_woken_by_the_insert(settings: Settings, app_connection: Any, owner: Any) -> None:
    slow_to_poll = {"poll_seconds": 60.0}
    async with Sink() as sink, running_daemon(to(settings, sink.port, **slow_to_poll)):

        async def announced() -> bool:
            return bool(await owner.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
                "AND mode = 'ExclusiveLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
            ))  # fmt: skip

        await eventually(announced, "the daemon says that it is idle")
        (job,) = await insert(app_connection)
        await becomes(owner, job, "sent")


async def test_a_job_for_later_runs_when_it_is_due_without_a_poll(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    async with Sink() as sink, running_daemon(to(settings, sink.port, poll_seconds=60.0)):
        due = await owner.fetchval("SELECT now()") + timedelta(seconds=1)
        (job,) = await insert(app_connection, scheduled_at=due)
        await becomes(owner, job, "sent")
        finished = await owner.fetchval("SELECT finished_at FROM mailworkers.email_sends WHERE job_id = $1", job)
    assert due <= finished <= due + timedelta(seconds=5)


async def test_refusals_are_recorded_for_what_they_are(settings: Settings, app_connection: Any, owner: Any) -> None:
    refusals = {"gone@example.org": "550 5.1.1 no such user", "busy@example.org": "451 4.3.0 try later"}
    async with Sink(refusals=refusals) as sink, running_daemon(to(settings, sink.port)):
        (gone,) = await insert(app_connection, to_email="gone@example.org")
        (busy,) = await insert(app_connection, to_email="busy@example.org")
        (partly,) = await insert(app_connection, cc=["gone@example.org"])
        await becomes(owner, gone, "failed")
        await becomes(owner, busy, "retrying")
        await becomes(owner, partly, "sent")
    refused = await owner.fetchval("SELECT refused FROM mailworkers.email_sends WHERE job_id = $1", partly)
    rows = await owner.fetch(
        "SELECT job_id, class, code, enhanced_code FROM mailworkers.email_retry_jobs ORDER BY job_id"
    )
    assert [(row["job_id"], row["code"], row["enhanced_code"]) for row in rows] == [
        (gone, 550, "5.1.1"),
        (busy, 451, "4.3.0"),
    ]
    assert "gone@example.org" in refused


async def test_a_mail_that_the_relay_only_ever_puts_off_comes_to_an_end(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    # given a relay that puts one recipient off for ever, in the name of which no attempt is spent
    refusals = {"later@example.org": "451 4.7.1 try again in 1 second"}
    async with Sink(refusals=refusals) as sink, running_daemon(to(settings, sink.port, give_up_hours=0.5 / 3600)):
        (later,) = await insert(app_connection, to_email="later@example.org")
        await becomes(owner, later, "abandoned")
    record = await owner.fetchrow("SELECT attempts, reply FROM mailworkers.email_sends WHERE job_id = $1", later)
    assert record["reply"].startswith("given up after the relay put it off for 0.0 hours: ")
    assert sink.commands["RCPT"] == 2


async def test_a_row_that_cannot_become_a_mail_fails_alone(settings: Settings, app_connection: Any, owner: Any) -> None:
    async with Sink() as sink, running_daemon(to(settings, sink.port)):
        (unknown,) = await insert(app_connection, text_body=None, template="welcome")
        (other,) = await insert(app_connection, job_type="make-coffee")
        (missing,) = await insert(app_connection, attachments='[{"blob_id": 4711}]')
        (good,) = await insert(app_connection)
        for job in (unknown, other, missing):
            await becomes(owner, job, "failed")
        await becomes(owner, good, "sent")
    replies = {
        row["job_id"]: row["reply"] for row in await owner.fetch("SELECT job_id, reply FROM mailworkers.email_sends")
    }
    assert "welcome" in replies[unknown]
    assert "make-coffee" in replies[other]
    assert "4711" in replies[missing]


async def test_an_attachment_by_reference_is_sent_with_its_bytes(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    blob = await app_connection.fetchval(
        "INSERT INTO mailworkers.email_blobs (filename, content_type, content) VALUES ('a.bin', 'application/x-test', $1) "
        "RETURNING id",
        bytes(range(256)),
    )
    async with Sink() as sink, running_daemon(to(settings, sink.port)):
        (job,) = await insert(app_connection, attachments=f'[{{"blob_id": {blob}}}]')
        await becomes(owner, job, "sent")
    mail = message_from_bytes(sink.mails[0].content, policy=default)
    (attachment,) = mail.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("a.bin", bytes(range(256)))


async def test_attachments_too_large_for_a_mail_are_not_even_read(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    blob = await app_connection.fetchval(
        "INSERT INTO mailworkers.email_blobs (filename, content) "
        "VALUES ('a.bin', decode(repeat('00', 20 * 1024 * 1024), 'hex')) RETURNING id"
    )
    other = await app_connection.fetchval(
        "INSERT INTO mailworkers.email_blobs (filename, content) "
        "VALUES ('b.bin', decode(repeat('00', 20 * 1024 * 1024), 'hex')) RETURNING id"
    )
    async with Sink() as sink, running_daemon(to(settings, sink.port)):
        (job,) = await insert(app_connection, attachments=f'[{{"blob_id": {blob}}}, {{"blob_id": {other}}}]')
        await becomes(owner, job, "failed")
    reply = await owner.fetchval("SELECT reply FROM mailworkers.email_sends WHERE job_id = $1", job)
    assert "41,943,040 octets" in reply


async def test_throttling_slows_the_lane_and_spends_no_attempt(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    refusals = {"slow@example.org": "450 4.7.0 too many mails, try again in 300 seconds"}
    async with Sink(refusals=refusals) as sink, running_daemon(to(settings, sink.port)) as running:
        slow, *_ = await insert(app_connection, RECIPIENTS_IN_A_ROW, workspace_id="a", to_email="slow@example.org")
        await eventually(lambda: "a" in running.vitals.resting_lanes, "the lane rests")
        (other,) = await insert(app_connection, workspace_id="b")
        await becomes(owner, other, "sent")  # a claim that was under way has ended
        waits, other = [(await insert(app_connection, workspace_id=lane))[0] for lane in "ab"]
        await becomes(owner, other, "sent")
        row = await owner.fetchrow("SELECT * FROM mailworkers.email_jobs WHERE id = $1", slow)
        assert (row["attempts"], row["status"]) == (0, "waiting")
        assert row["scheduled_at"] > datetime.now(UTC) + timedelta(seconds=200)
        assert await status(owner, waits) == "waiting"


async def test_one_recipient_that_is_refused_by_policy_does_not_stop_the_lane(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    refusals = {"odd@example.org": "554 5.7.1 recipient address rejected: access denied"}
    async with Sink(refusals=refusals) as sink, running_daemon(to(settings, sink.port)) as running:
        (odd,) = await insert(app_connection, to_email="odd@example.org")
        await becomes(owner, odd, "failed")
        (good,) = await insert(app_connection)
        await becomes(owner, good, "sent")
        assert running.vitals.resting_lanes == {}


async def test_a_connection_that_breaks_before_the_mail_is_taken_costs_no_attempt(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    async def cut_before_the_content(talk: Talk) -> None:
        await talk.greet()
        await talk.expect("MAIL")
        talk.reset()

    async def take(talk: Talk) -> None:
        await talk.greet()
        await talk.mail()

    changes = {"min_workers": 1, "max_workers": 1}
    async with (
        HostileServer(cut_before_the_content, take, take) as server,
        running_daemon(to(settings, server.port, **changes)),
    ):
        (job,) = await insert(app_connection)
        await becomes(owner, job, "sent")
    assert await owner.fetchval("SELECT attempts FROM mailworkers.email_sends WHERE job_id = $1", job) == 1
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_retry_jobs") == 0


async def test_a_mail_that_must_go_at_most_once_is_not_sent_again_when_its_end_is_lost(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    async def vanish_after_the_dot(talk: Talk) -> None:
        await talk.greet()
        await talk.envelope()
        await talk.content()
        talk.reset()

    changes = {"min_workers": 1, "max_workers": 1}
    scripts = [vanish_after_the_dot] * 3
    async with HostileServer(*scripts) as server, running_daemon(to(settings, server.port, **changes)):
        (job,) = await insert(app_connection, delivery="at_most_once")
        await becomes(owner, job, "unknown")
        (other,) = await insert(app_connection)
        await becomes(owner, other, "retrying")


async def test_a_relay_that_is_away_costs_no_attempt_and_is_found_when_it_is_back(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    async with Sink() as gone:
        port = gone.port
    async with running_daemon(to(settings, port)) as running:
        (job,) = await insert(app_connection)
        await eventually(lambda: running.vitals.relay_problem is not None, "the trouble shows")
        async with Sink(port=port):
            await becomes(owner, job, "sent")
            await eventually(lambda: running.vitals.relay_problem is None, "the trouble is over")
    assert await owner.fetchval("SELECT attempts FROM mailworkers.email_sends WHERE job_id = $1", job) == 1


async def test_a_lost_session_means_a_new_lease_and_work_goes_on(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    async with Sink() as sink, running_daemon(to(settings, sink.port)) as running:
        first = running.vitals.daemon_id
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'mailworkers presence%' AND datname = current_database()"
        )
        await eventually(lambda: running.vitals.daemon_id != first, "a new lease")
        (job,) = await insert(app_connection)
        await becomes(owner, job, "sent")
    assert running.vitals.daemon_id is not None


async def test_a_mail_in_flight_when_the_session_is_lost_is_not_sent_twice(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.greet()
        await talk.envelope()
        await talk.content()
        begun.set()
        await go_on.wait()
        await talk.send("250 2.0.0 taken")

    changes = {"min_workers": 1, "max_workers": 1}
    async with HostileServer(slow) as server, running_daemon(to(settings, server.port, **changes)) as running:
        (job,) = await insert(app_connection)
        await asyncio.wait_for(begun.wait(), 10)
        first = running.vitals.daemon_id
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'mailworkers presence%' AND datname = current_database()"
        )
        await eventually(lambda: running.vitals.daemon_id != first, "a new lease")
        holder = await owner.fetchval("SELECT daemon_id FROM mailworkers.email_jobs WHERE id = $1", job)
        go_on.set()
        await becomes(owner, job, "sent")
    assert holder == running.vitals.daemon_id
    assert len(server.talks) == 1


async def test_a_daemon_whose_result_comes_too_late_stands_down_at_once(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    """Others took it for dead, and nothing else tells it: as when the whole machine was paused."""
    begun, answers = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(talk: Talk) -> None:
        await talk.greet()
        while (await talk.reader.readline()).startswith(b"MAIL"):
            await talk.send("250 2.1.0 ok")
            await talk.expect("RCPT")
            await talk.send("250 2.1.5 ok")
            await talk.expect("DATA")
            await talk.send("354 go on")
            await talk.content()
            begun.set()
            await answers.acquire()
            await talk.send("250 2.0.0 taken")

    changes = {"min_workers": 1, "max_workers": 1}
    async with HostileServer(slow) as server, running_daemon(to(settings, server.port, **changes)) as running:
        # given a mail at the relay, others behind it, and a heartbeat that will not look again for a while
        first, beat = running.vitals.daemon_id, running.vitals.last_heartbeat
        await eventually(lambda: running.vitals.last_heartbeat != beat, "the heartbeat after the start")
        jobs = await insert(app_connection, count=20)
        async with asyncio.timeout(10):
            await begun.wait()

        # when its lease is ended elsewhere and the mail's reply comes
        await owner.execute("UPDATE mailworkers.email_daemons SET ended_at = now(), ended_why = 'taken for dead'")
        await owner.execute(
            "UPDATE mailworkers.email_jobs SET status = 'waiting', lease = NULL, daemon_id = NULL, deadline = NULL"
        )
        answers.release()

        # then it begins anew without waiting for its next look, and each of the others goes once
        async with asyncio.timeout(CHECK_SECONDS / 2):
            await eventually(lambda: running.vitals.daemon_id != first, "a new lease")
        for _ in range(2 * len(jobs)):
            answers.release()
        for job in jobs:
            await becomes(owner, job, "sent")


async def test_draining_lets_mails_in_flight_end_and_releases_the_rest(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.greet()
        await talk.envelope()
        await talk.content()
        begun.set()
        await go_on.wait()
        await talk.send("250 2.0.0 taken")

    changes = {"min_workers": 1, "max_workers": 1}
    ids = await insert(app_connection, 5)
    async with HostileServer(slow) as server, running_daemon(to(settings, server.port, **changes)) as running:
        await asyncio.wait_for(begun.wait(), 10)
        running.stop.set()
        await eventually(lambda: running.vitals.phase == "draining", "the drain")
        go_on.set()
    assert [await status(owner, job) for job in ids] == ["sent"] + ["waiting"] * 4
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.email_daemons WHERE ended_at IS NULL") == 0


async def test_at_the_end_of_the_grace_period_what_is_left_is_aborted(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    begun = asyncio.Event()

    async def stall(talk: Talk) -> None:
        await talk.greet()
        await talk.envelope()
        await talk.content()
        begun.set()

    changes = {"min_workers": 1, "max_workers": 1, "drain_seconds": 0.2}
    (job,) = await insert(app_connection)
    async with HostileServer(stall) as server, running_daemon(to(settings, server.port, **changes)) as running:
        await asyncio.wait_for(begun.wait(), 10)
        running.stop.set()
    assert await status(owner, job) == "retrying"
    assert "unknown" in await owner.fetchval("SELECT text FROM mailworkers.email_retry_jobs WHERE job_id = $1", job)


async def test_a_schema_that_is_not_this_versions_ends_the_start(settings: Settings, owner: Any) -> None:
    await owner.execute(
        "INSERT INTO mailworkers.schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')"
    )
    with pytest.raises(SchemaMismatch, match="newer"):
        async with running_daemon(settings):
            pass
