"""What is said, and how long is waited, where the end of a drain finds no database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from mailworkers.daemon.last_results import write_last_results
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.ack import AckWriter
from mailworkers.queue.states import Sent, Snooze
from mailworkers.replies import Reply, Stage
from tests.support.jobs import made_up

OK = Reply(Stage.FINAL, 250, "2.0.0", "taken as 4711")
LONG_SECONDS = 15.0
SHORT_SECONDS = 0.3


class Away:
    """A database that refuses the first `times` statements."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def fetchval(self, name: str, *_: object) -> int:
        self.times -= 1
        if self.times >= 0:
            raise DatabaseUnavailable(f"{name} failed: nobody answers")
        return 1


@pytest.fixture
async def away() -> Away:
    return Away(times=1_000_000)


@pytest.fixture
async def acks(away: Any) -> AsyncIterator[AckWriter]:
    """A writer at work on it."""
    writer = AckWriter(
        away, lambda: 1, batch=10, delay=0.0, bound=100, on_written=lambda _: None, on_trouble=lambda _: None
    )
    running = asyncio.create_task(writer.run())
    yield writer
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_results_are_written_and_nothing_is_said(acks: AckWriter, away: Away) -> None:
    away.times = 0
    acks.put(Sent(made_up(1), "token@example.org", OK))

    with capture_logs() as said:
        assert await write_last_results(acks, LONG_SECONDS)

    assert said == []


async def test_jobs_that_only_go_back_are_not_waited_for(acks: AckWriter) -> None:
    acks.put(Snooze(made_up(1), 0.0))
    acks.put(Snooze(made_up(2), 0.0))

    began = time.monotonic()
    with capture_logs() as said:
        assert await write_last_results(acks, LONG_SECONDS)

    assert time.monotonic() - began < LONG_SECONDS / 3
    assert [(line["log_level"], line.get("jobs")) for line in said] == [("warning", 2)]


async def test_results_are_worth_the_whole_time_and_counted_apart(acks: AckWriter) -> None:
    acks.put(Sent(made_up(1), "token@example.org", OK))
    acks.put(Snooze(made_up(2), 0.0))

    began = time.monotonic()
    with capture_logs() as said:
        assert not await write_last_results(acks, SHORT_SECONDS)

    assert time.monotonic() - began >= SHORT_SECONDS
    assert [(line["log_level"], line.get("jobs"), line.get("results")) for line in said] == [
        ("warning", 1, None),
        ("error", None, 1),
    ]


async def test_a_database_that_comes_back_in_time_gets_them(acks: AckWriter, away: Away) -> None:
    away.times = 2
    acks.put(Sent(made_up(1), "token@example.org", OK))

    assert await write_last_results(acks, LONG_SECONDS)
    assert acks.unwritten == 0
