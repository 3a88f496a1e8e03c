"""Jobs that name a template, from the row to the relay."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import asyncpg
import pytest

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.preparing import AHEAD_SECONDS, Prepared, Preparing
from mailworkers.db.pool import Database, Gateway
from mailworkers.mail.row import SenderDefaults
from mailworkers.mail.templates import TemplateSource
from mailworkers.queue.states import Ended
from mailworkers.queue.templates import save
from mailworkers.settings import Settings
from tests.support.jobs import insert, made_up
from tests.support.running import running_daemon
from tests.support.sink import Received, Sink
from tests.support.waiting import eventually

SAVE = "SELECT mailworkers.save_template($1, $2, $3, $4, $5)"
REPLY = "SELECT status, reply FROM mailworkers.email_sends WHERE job_id = $1"


def read(mail: Received) -> EmailMessage:
    return message_from_bytes(mail.content, policy=default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).strip()


@pytest.fixture
async def owner(database_url: str) -> Any:
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    yield connection
    await connection.close(timeout=10)


async def ends(owner: Any, job: int) -> tuple[str, str]:
    async def ended() -> bool:
        return await owner.fetchrow(REPLY, job) is not None

    await eventually(ended, f"job {job} ends")
    row = await owner.fetchrow(REPLY, job)
    return row["status"], row["reply"]


async def test_rows_that_name_a_template_become_rendered_mails(
    settings: Settings, app_connection: Any, owner: Any
) -> None:
    """Given two versions, when an application inserts rows of each, then a relay gets what they become with their data."""
    settings = settings.model_copy(update={"smtp_host": "127.0.0.1"})
    await app_connection.fetchval(
        SAVE, "default", "welcome", "Welcome, {{ name }}", None, "<p>Hi <b>{{ name }}</b> at {{ to_email }}</p>"
    )
    await app_connection.fetchval(SAVE, "default", "welcome", "Hello, {{ name }}", "Hello {{ name }}", None)
    ann, bob = '{"name": "Ann <Lee>"}', '{"name": "Bob\\nBcc: eve@firm.example"}'
    plain: dict[str, Any] = {"text_body": None, "subject": None}

    async with Sink() as sink, running_daemon(settings.model_copy(update={"smtp_port": sink.port})):
        (newest,) = await insert(app_connection, template="welcome", data=ann, to_email="newest@example.org", **plain)
        pinned = await insert(
            app_connection, 60, template="welcome@1", data=ann, to_email="pinned@example.org", **plain
        )
        (own,) = await insert(
            app_connection, template="welcome@1", data=ann, to_email="own@example.org", text_body=None, subject="Mine"
        )
        refused = {
            "a name with a line end": await insert(app_connection, template="welcome", data=bob, **plain),
            "missing": await insert(app_connection, template="welcome", **plain),
            "no such version": await insert(app_connection, template="welcome@3", data=ann, **plain),
            "another workspace's": await insert(app_connection, template="welcome", data=ann, workspace_id="other", **plain),
            "no version": await insert(app_connection, template="welcome@x", data=ann, **plain),
        }  # fmt: skip
        for job in (newest, *pinned, own):
            assert (await ends(owner, job))[0] == "sent"
        why = {name: await ends(owner, jobs[0]) for name, jobs in refused.items()}

    mails = {mail.rcpt_to[0]: read(mail) for mail in sink.mails}
    assert len(sink.mails) == 62
    assert (mails["newest@example.org"]["Subject"], body(mails["newest@example.org"], "plain")) == (
        "Hello, Ann <Lee>",
        "Hello Ann <Lee>",
    )
    assert mails["pinned@example.org"]["Subject"] == "Welcome, Ann <Lee>"
    assert body(mails["pinned@example.org"], "html") == "<p>Hi <b>Ann &lt;Lee&gt;</b> at pinned@example.org</p>"
    assert body(mails["pinned@example.org"], "plain") == "Hi Ann <Lee> at pinned@example.org"
    assert mails["own@example.org"]["Subject"] == "Mine"

    assert {status for status, _ in why.values()} == {"failed"}
    assert 'template "welcome@2", subject: it contains the control character U+000A' in why["a name with a line end"][1]
    assert 'template "welcome@2", subject line 1: the variable "name" is missing' in why["missing"][1]
    assert 'template "welcome@3" does not exist in workspace "default"' in why["no such version"][1]
    assert 'template "welcome" does not exist in workspace "other"' in why["another workspace's"][1]
    assert 'template "welcome@x" has no version behind its @' in why["no version"][1]
    assert not any("\n" in reply for _, reply in why.values())


class Desk:
    """What composes the jobs of a line."""

    def __init__(self, gateway: Gateway, *rows: dict[str, Any]) -> None:
        self.buffer = Buffer()
        self.buffer.put([made_up(number, text_body=None, subject=None, **row) for number, row in enumerate(rows, 1)])
        self.preparing = Preparing(gateway, lambda: SenderDefaults("s@firm1.example"), self.buffer.upcoming)

    async def next(self) -> Prepared | Ended:
        job = self.buffer.take()
        assert job is not None
        return await self.preparing.prepare(job)


def subject(prepared: Prepared | Ended) -> str:
    assert isinstance(prepared, Prepared), prepared
    return str(message_from_bytes(prepared.mail.content, policy=default)["Subject"])


async def test_a_named_version_is_rendered_ahead_and_the_newest_in_its_turn(database: Database) -> None:
    """Given a line of both kinds, when the first is composed, then only named versions are, which no edit can change."""
    await save(database, "default", TemplateSource("w", 0, "One", "t"))
    desk = Desk(database.claims, *[{"template": "w@1"}] * 2, *[{"template": "w"}] * 2, {"template": "w@1"})

    assert [subject(await desk.next())] == ["One"]
    before = database.statements
    assert subject(await desk.next()) == "One"
    assert database.statements == before
    await save(database, "default", TemplateSource("w", 0, "Two", "t"))
    assert [subject(await desk.next()) for _ in range(3)] == ["Two", "Two", "One"]


async def test_slow_letters_are_not_rendered_ahead(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given letters that take their time, when one is composed, then the event loop is not kept for all of the line."""
    await save(database, "default", TemplateSource("w", 0, "{{ n }}", "{% for n in range(10000) %}{{ n }}{% endfor %}"))
    desk = Desk(database.claims, *({"template": "w@1", "data": json.dumps({"n": n})} for n in range(20)))
    monkeypatch.setattr("mailworkers.daemon.preparing.AHEAD_SECONDS", 0.0)

    assert AHEAD_SECONDS <= 0.01
    assert subject(await desk.next()) == "0"
    assert not desk.preparing._ahead
    assert [subject(await desk.next()) for _ in range(19)] == [str(n) for n in range(1, 20)]


@pytest.mark.parametrize("data", ["[1]", "{", "[" * 100_000, "null", '"a"'])
async def test_data_that_is_no_object_ends_the_job(database: Database, data: str) -> None:
    await save(database, "default", TemplateSource("w", 0, "s", "t"))

    ended = await Desk(database.claims, {"template": "w", "data": data}).next()

    assert isinstance(ended, Ended)
    assert ended.why.text.startswith("data ")
