"""`mailworkers send`: one mail from the command line, and what became of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailworkers.demo.capture import CaptureServer
from tests.cli.conftest import Command, Sql
from tests.support.daemon import free_port
from tests.support.program import mailworkers, started

HELLO = ("send", "--to", "ann@a.example", "--subject", "Hello")


class Relay(threading.Thread):
    """A capturing mail server in a thread of its own, since commands bring their own event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.server = CaptureServer()
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def run(self) -> None:
        async def serve() -> None:
            self.port = await self.server.start()
            self._ready.set()
            await self._end.wait()
            await self.server.stop()

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve())

    def __enter__(self) -> Relay:
        self.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(10)


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as made:
        yield made


def test_without_a_daemon_it_is_queued_and_says_so(on_database: Command, sql: Sql) -> None:
    ended = on_database(*HELLO, "--text", "Hi Ann")

    assert ended.code == 69
    assert "job 1 waits in the queue: no daemon is running. Start `mailworkers run`, or send with --now" in ended.err
    assert sql("SELECT status FROM mailworkers.email_jobs") == "waiting"


def test_who_does_not_want_to_wait_is_done_when_it_is_queued(on_database: Command) -> None:
    ended = on_database(*HELLO, "--text", "Hi Ann", "--no-wait", "--json")

    assert ended.code == 0
    assert ended.json == {"job_id": 1, "outcome": "still-waiting", "status": "waiting", "reply": ""}


def test_a_daemon_of_its_own_sends_it(database_url: str, relay: Relay, tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text("Grüße")

    ended = mailworkers(
        *HELLO, "--text", "-", "--html", "<p>Hi</p>", "--attach", "plan.txt", "--from", "me@a.example", "--now",
        "--smtp-host", "127.0.0.1", "--smtp-port", str(relay.port),
        stdin="Hi Ann\n", folder=tmp_path, DATABASE_URL=database_url, MAILWORKERS_LOG_LEVEL="WARNING",
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert "sent" in ended.stdout
    assert relay.server.recipients == {"ann@a.example": 1}
    assert relay.server.messages[0].mail_from == "me@a.example"
    content = relay.server.messages[0].content
    assert b"Hi Ann" in content
    assert b"plan.txt" in content


def test_where_no_relay_answers_it_stays_queued(database_url: str) -> None:
    ended = mailworkers(
        *HELLO, "--text", "x", "--now", "--timeout", "1", "--smtp-host", "127.0.0.1", "--smtp-port", "1",
        DATABASE_URL=database_url, MAILWORKERS_LOG_LEVEL="ERROR", MAILWORKERS_DRAIN_SECONDS="1",
    )  # fmt: skip

    assert ended.returncode == 69, ended.stdout + ended.stderr
    assert "job 1 waits in the queue: cannot reach 127.0.0.1:1: Connection refused. See `mailworkers s" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_a_running_daemon_complains_of_is_why_it_waits(database_url: str) -> None:
    port = str(free_port())
    relay = ("--smtp-host", "127.0.0.1", "--smtp-port", "1")
    common: dict[str, Any] = {
        "DATABASE_URL": database_url,
        "MAILWORKERS_HTTP_PORT": port,
        "MAILWORKERS_LOG_FORMAT": "json",
    }
    with started("run", *relay, **common) as daemon:
        assert daemon.stderr is not None
        assert any("daemon ready" in line for line in daemon.stderr)
        ended = mailworkers(*HELLO, "--text", "x", "--timeout", "3", **common)

    assert ended.returncode == 69
    assert "job 1 waits in the queue: The relay takes no mail" in ended.stderr


def test_each_option_becomes_its_column(on_database: Command, sql: Sql, tmp_path: Path) -> None:
    data = tmp_path / "ann.json"
    data.write_text('{"name": "Ann"}')

    ended = on_database(
        "send", "--to", "ann@a.example", "--cc", "bo@a.example", "--cc", "cy@a.example", "--bcc", "di@a.example",
        "--template", "welcome@1", "--data", str(data), "--at", "2033-01-01 09:00 UTC", "--campaign", "17",
        "--idempotency-key", "key 1", "--workspace", "shop", "--json",
    )  # fmt: skip

    assert (ended.code, ended.json["outcome"]) == (0, "still-waiting"), "nobody waits for a mail of another year"
    assert json.loads(sql("SELECT to_jsonb(job) FROM mailworkers.email_jobs AS job")).items() >= {
        "cc": ["bo@a.example", "cy@a.example"], "bcc": ["di@a.example"], "template": "welcome@1", "data": {"name": "Ann"},
        "scheduled_at": "2033-01-01T09:00:00+00:00", "campaign_id": 17, "idempotency_key": "key 1", "workspace_id": "shop",
        "subject": None,
    }.items()  # fmt: skip


def test_the_same_key_sends_one_mail(on_database: Command, sql: Sql) -> None:
    keyed = (*HELLO, "--text", "x", "--no-wait", "--idempotency-key", "key")
    assert on_database(*keyed).code == 0

    again, told = on_database(*keyed), on_database(*keyed, "--json")

    assert (again.code, told.code) == (0, 0)
    assert "This mail is queued or sent already" in again.out
    assert (told.json["job_id"], told.json["outcome"]) == (None, "already-there")
    assert sql("SELECT count(*) FROM mailworkers.email_jobs") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--at", "tomorrow"), "is no moment"),
        (("--at", "2001-01-01"), "Leave out --at to send it at once"),
        (("--at", "2033-01-01", "--now"), "give --at or --now"),
        (("--template", "a", "--data", "/nowhere.json"), "cannot read /nowhere.json"),
    ],
)
def test_options_that_cannot_be(on_database: Command, sql: Sql, arguments: tuple[str, ...], complaint: str) -> None:
    ended = on_database(*HELLO, *arguments)

    assert ended.code != 0
    assert complaint in ended.err
    assert sql("SELECT count(*) FROM mailworkers.email_jobs") == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("--to", "ann@@a.example", "--subject", "x", "--text", "x"),
            "to_email must have one @, as in ann@example.org",
        ),
        (("--to", "ann@a.example", "--subject", "x\ny", "--text", "x"), "subject must be one line"),
        (("--to", "ann@a.example", "--subject", "x"), "a mail needs text_body, html_body or a template"),
        (("--to", "a@a.example", "--subject", "x", "--text", "x", "--from", "me"), "from_email must be one address"),
    ],
)
def test_a_bad_mail_is_refused_in_the_databases_words(
    on_database: Command, sql: Sql, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = on_database("send", *arguments)

    assert ended.code == 65
    assert ended.err.startswith("mailworkers: the database refused the mail: ")
    assert complaint in ended.err
    assert sql("SELECT count(*) FROM mailworkers.email_jobs") == 0


def test_a_file_that_cannot_be_read(on_database: Command) -> None:
    ended = on_database(*HELLO, "--text", "x", "--attach", "/nowhere.pdf")

    assert (ended.code, ended.err) == (1, "mailworkers: cannot attach /nowhere.pdf: No such file or directory\n")
