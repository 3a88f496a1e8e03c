"""What a person or a log collector gets to read, and what neither may."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mailworkers.daemon import logs
from mailworkers.daemon.redaction import ADDRESS, HIDDEN, clean_text
from mailworkers.errors import DatabaseUnavailable, RelayRefused


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger(logs.OURS)
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


class Reader:
    """A daemon's log as someone reads it."""

    def __init__(self, level: logs.Level = "INFO", style: logs.Format = "auto") -> None:
        self.stream = io.StringIO()
        logs.configure(level, style, self.stream)
        self.log = structlog.get_logger("mailworkers.daemon.dispatcher")

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_one_json_line_an_event_where_no_terminal_is() -> None:
    reader = Reader()

    reader.log.info("drained", released=3, instance="vps-1")

    (line,) = reader.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "drained",
        "level": "info",
        "logger": "mailworkers.daemon.dispatcher",
        "released": 3,
        "instance": "vps-1",
    }


def test_readable_lines_and_colours_on_a_terminal() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        logs.configure("INFO", "auto", terminal)
        structlog.get_logger("mailworkers").info("drained", released=3)
        terminal.flush()
        shown = os.read(master, 4096).decode()
    os.close(master)

    assert "drained" in shown
    assert "\x1b[" in shown
    assert not shown.lstrip().startswith("{")


def test_text_without_colours_where_it_was_asked_for() -> None:
    reader = Reader(style="text")

    reader.log.info("drained", released=3)

    assert "drained" in reader.text
    assert "released=3" in reader.text
    assert "\x1b" not in reader.text


def test_a_line_for_journald_carries_its_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.configure("INFO", "auto", stream)
        structlog.get_logger("mailworkers").warning("relay is down")
        stream.seek(0)
        line = stream.read()

    assert line.startswith("<4>{")
    assert json.loads(line.removeprefix("<4>"))["event"] == "relay is down"


def test_the_level_changes_with_a_reload() -> None:
    reader = Reader("INFO")

    reader.log.debug("hidden")
    logs.set_level("DEBUG")
    reader.log.debug("shown")
    logs.set_level("ERROR")
    reader.log.warning("hidden again")

    assert [line["event"] for line in reader.lines] == ["shown"]


def test_what_libraries_say_joins_from_warning_on() -> None:
    reader = Reader("INFO")

    logging.getLogger("asyncio").info("Using selector")
    logging.getLogger("asyncpg").warning("lost %d connections", 2)

    (line,) = reader.lines
    assert (line["event"], line["logger"], line["level"]) == ("lost 2 connections", "asyncpg", "warning")


def test_no_address_and_no_content_at_info() -> None:
    reader = Reader("INFO")

    reader.log.info(
        "attempt failed for ann@shop.example",
        to_email="ann@shop.example",
        subject="Your order",
        reply='550 5.1.1 <ann@shop.example>: "ann smith"@shop.example unknown',
        jobs=[{"id": 7, "html_body": "<p>Hi</p>"}],
        code=550,
    )

    (line,) = reader.lines
    assert "shop.example" not in reader.text
    assert "Your order" not in reader.text
    assert "Hi" not in reader.text
    assert line["event"] == f"attempt failed for {ADDRESS}"
    assert line["reply"] == f"550 5.1.1 <{ADDRESS}>: {ADDRESS} unknown"
    assert line["jobs"] == [{"id": 7, "html_body": HIDDEN}]
    assert line["code"] == 550


def test_debug_shows_addresses_but_never_a_secret() -> None:
    reader = Reader("DEBUG")

    reader.log.debug(
        "connecting", to_email="ann@shop.example", password="hunter2", url="postgresql://u:hunter2@db.test/m"
    )

    (line,) = reader.lines
    assert line["to_email"] == "ann@shop.example"
    assert "hunter2" not in reader.text
    assert line["url"] == f"postgresql://{HIDDEN}db.test/m"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("postgresql://me:p@ss@db.test:5432/mail", f"postgresql://{HIDDEN}db.test:5432/mail"),
        ("host=db.test password='a b' user=me", f"host=db.test password={HIDDEN} user=me"),
        ("postgres:///mail?password=abc&user=me", f"postgres:///mail?password={HIDDEN}&user=me"),
        ("Authorization: Bearer mw_0123456789", f"Authorization: Bearer {HIDDEN}"),
        ("AUTH PLAIN AGFubgBodW50ZXIy", f"AUTH PLAIN {HIDDEN}"),
        ("jörg@müller.example and 用户@例子.test", f"{ADDRESS} and {ADDRESS}"),
        ("<mailto:ann@shop.example>", f"<mailto:{ADDRESS}>"),
        ("nothing to hide: 42 of 50 lanes", "nothing to hide: 42 of 50 lanes"),
        ("550 \x1b[2J\x07 gone", "550 \\x1b[2J\\x07 gone"),
    ],
)
def test_secrets_and_addresses_in_running_text(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@given(st.text(alphabet="abc@.:/=\"' <>-+\n", max_size=200), st.text(alphabet="abc@.:/ ", max_size=60))
def test_no_word_around_an_at_sign_survives(before: str, after: str) -> None:
    cleaned = clean_text(f"{before} ann.secret@shop.example {after}")

    assert "ann.secret" not in cleaned
    assert "shop.example" not in cleaned or "://" in before


@pytest.mark.parametrize(
    "text", ["a" * 200_000 + " @", "a." * 100_000 + "@", "://" * 50_000 + "@", '"' * 100_000 + "@"]
)
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    """A relay chooses the text of its replies. Quadratic time would take minutes here."""
    assert len(clean_text(text)) <= len(text) + len(HIDDEN)


def test_an_expected_error_is_one_line() -> None:
    reader = Reader("INFO")

    def claim() -> None:
        raise DatabaseUnavailable("no answer from db.test:5432", "Check that PostgreSQL runs")

    try:
        claim()
    except DatabaseUnavailable:
        reader.log.exception("claim failed")

    (line,) = reader.lines
    assert line["error"] == "no answer from db.test:5432. Check that PostgreSQL runs"
    assert "exception" not in line
    assert "Traceback" not in reader.text


def test_what_a_library_only_warns_of_is_one_line() -> None:
    reader = Reader("INFO")

    try:
        int("many")
    except ValueError:
        logging.getLogger("asyncpg.pool").warning("trying again", exc_info=True)

    (line,) = reader.lines
    assert (line["event"], line["error"]) == (
        "trying again",
        "ValueError: invalid literal for int() with base 10: 'many'",
    )
    assert "exception" not in line


def test_a_group_of_expected_errors_is_one_line_too() -> None:
    reader = Reader("INFO")
    group = ExceptionGroup("start", [DatabaseUnavailable("no database"), RelayRefused("bad certificate")])

    reader.log.error("cannot start", exc_info=group)

    assert reader.lines[0]["error"] == "no database; bad certificate"


def test_debug_keeps_the_traceback_of_an_expected_error() -> None:
    reader = Reader("DEBUG")

    reader.log.error("claim failed", exc_info=DatabaseUnavailable("no database"))

    assert "DatabaseUnavailable" in reader.lines[0]["exception"]


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_bug_keeps_its_traceback_without_addresses_and_local_values(style: logs.Format) -> None:
    reader = Reader("INFO", style)

    def compose(recipient: str) -> None:
        raise ValueError(f"cannot encode {recipient}")

    try:
        compose("ann@shop.example")
    except ValueError:
        reader.log.exception("worker failed")

    assert "Traceback" in reader.text
    assert "compose" in reader.text
    assert f"cannot encode {ADDRESS}" in reader.text
    assert "shop.example" not in reader.text.replace('compose("ann@shop.example")', "")


def test_a_repeated_event_is_said_seldom_with_its_count() -> None:
    reader = Reader()
    now = 0.0
    seldom = logs.Seldom(reader.log, every=30.0, clock=lambda: now)

    for second in range(100):
        now = float(second)
        seldom.warning("database does not answer", tries=second)

    assert [(line["tries"], line.get("repeated")) for line in reader.lines] == [(0, None), (30, 29), (60, 29), (90, 29)]


def test_after_the_trouble_is_over_its_next_time_is_news() -> None:
    reader = Reader()
    seldom = logs.Seldom(reader.log, every=30.0, clock=lambda: 0.0)

    seldom.error("relay is down")
    seldom.error("relay is down")
    seldom.forget("relay is down")
    seldom.error("relay is down")
    seldom.info("another event")

    assert [line["event"] for line in reader.lines] == ["relay is down", "relay is down", "another event"]


def test_events_without_bound_use_no_memory_without_bound() -> None:
    seldom = logs.Seldom(Reader().log)

    for n in range(3 * logs.SELDOM_EVENTS):
        seldom.info(f"event {n}")

    assert len(seldom._said) <= logs.SELDOM_EVENTS
