"""The bench as a command: what it says, how it ends, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from mailworkers.bench.run import AIOSMTPLIB, NAIVE, SESSION
from mailworkers.bench.stages import STAGES
from tests.bench.test_schema import schemas
from tests.support.program import END_SECONDS, mailworkers, started
from tests.support.sink import Sink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.database

JOBS = 300
SMALL = ("--jobs", str(JOBS), "--workers", "3")


def left_in(database_url: str) -> set[str]:
    return asyncio.run(schemas(database_url)) - {"mailworkers"}


def test_every_figure_that_is_promised_is_there(database_url: str) -> None:
    ended = mailworkers("bench", *SMALL, "--daemons", "2", "--json", DATABASE_URL=database_url)

    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    whole, alone = "whole path", "queue without SMTP"
    assert {whole, alone, SESSION, AIOSMTPLIB, NAIVE} <= set(said["mails_per_second"])
    assert all(speed > 0 for speed in said["mails_per_second"].values())
    assert {alone, SESSION, AIOSMTPLIB, NAIVE} <= set(said["ratios"])
    assert set(said["stages"]) <= set(STAGES)
    assert 0 < said["statements_per_mail"] < 1
    assert 0 < said["insert_to_sent"]["p50"] <= said["insert_to_sent"]["p99"]
    assert {"server_version", "synchronous_commit", "fsync"} <= set(said["server"])
    assert [run["arrived"] for run in said["runs"][whole]] == [JOBS]
    assert left_in(database_url) == set()


def test_a_person_reads_them_in_tables_without_colours_in_a_file(database_url: str) -> None:
    ended = mailworkers("bench", *SMALL, "--no-metrics", DATABASE_URL=database_url)

    assert ended.returncode == 0, ended.stderr
    for words in ("mails/s", "whole path", "statements", "peak memory", "Every mail is recorded as sent once"):
        assert words in ended.stdout
    assert "\x1b" not in ended.stdout + ended.stderr


async def test_a_mail_that_was_refused_fails_it(database_url: str) -> None:
    async with Sink(keep_content=False, refusals={"reader7@firm7.example": "550 5.1.1 nobody"}) as sink:
        ended = await asyncio.to_thread(
            mailworkers, "bench", *SMALL, "--relay", f"127.0.0.1:{sink.port}", DATABASE_URL=database_url
        )

    assert ended.returncode == 1
    assert f"of {JOBS} mails, {JOBS - 1} recorded as sent, 1 as not sent" in ended.stderr
    assert "nobody" in ended.stderr


def test_a_relay_elsewhere_is_refused_before_anything_starts(database_url: str) -> None:
    ended = mailworkers("bench", "--relay", "relay.example:25", DATABASE_URL=database_url)

    assert ended.returncode == 78
    assert ended.stderr.startswith("mailworkers: relay.example is not on this machine")
    assert ended.stderr.count("\n") == 1


def test_ctrl_c_leaves_nothing(database_url: str) -> None:
    with started("bench", "--jobs", "100000", DATABASE_URL=database_url) as process:
        wait_until(lambda: bool(left_in(database_url)), "the bench has begun", END_SECONDS)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=END_SECONDS)

    assert process.returncode == 130
    assert errors.endswith("mailworkers: interrupted; nothing of it is left behind\n")
    assert left_in(database_url) == set()
