"""A statement that takes on too many large rows for its time-out comes to its end by taking fewer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from mailworkers.db.pool import Gateway
from mailworkers.db.queries import Queries
from mailworkers.errors import DatabaseUnavailable
from mailworkers.queue.ack import AckWriter
from mailworkers.queue.leases import Leases
from mailworkers.queue.portion import Portion
from mailworkers.queue.states import Snooze
from tests.support.jobs import made_up
from tests.support.waiting import eventually

BEARABLE = 10  # rows that the gateways below manage within their time-out


class Slow(Gateway):
    """A gateway whose statements take too long for more than `BEARABLE` rows; `rows` finds their number in the arguments."""

    def __init__(self, rows: Callable[[tuple[Any, ...]], int]) -> None:
        super().__init__(None, Queries("mailworkers"), 1.0)
        self._rows = rows
        self.done: list[int] = []

    async def fetch(self, name: str, *args: Any) -> Any:
        return [{"id": number, "lease": 1} for number in range(args[-1])]  # jobs that seem overdue

    async def fetchrow(self, name: str, *args: Any) -> Any:
        return {"again": await self.fetchval(name, *args), "parked": 0}

    async def fetchval(self, name: str, *args: Any) -> Any:
        rows = self._rows(args)
        if rows > BEARABLE:
            raise DatabaseUnavailable("statement timeout")
        self.done.append(rows)
        return rows


def test_a_portion_shrinks_quickly_grows_again_and_is_never_empty() -> None:
    portion = Portion(100)
    portion.failed()
    assert portion.size == 12
    portion.worked()
    assert portion.size == 24
    for _ in range(5):
        portion.failed()
    assert portion.size == 1
    for _ in range(10):
        portion.worked()
    assert portion.size == 100


def jobs_of(portion: list[int] | int) -> int:
    return portion if isinstance(portion, int) else len(portion)


@pytest.mark.parametrize("takes_back", ["rescue", "expire", "disown"])
async def test_jobs_are_taken_back_however_large_they_are(takes_back: str) -> None:
    gateway = Slow(lambda args: next(jobs_of(arg) for arg in reversed(args) if isinstance(arg, list | int)))
    leases = Leases(gateway, "test", 30.0)
    arguments: dict[str, tuple[Any, ...]] = {"rescue": (), "expire": (1.0, 0.0), "disown": (1, [])}
    for _ in range(5):
        with contextlib.suppress(DatabaseUnavailable):
            await getattr(leases, takes_back)(*arguments[takes_back])
    assert gateway.done


async def test_results_are_written_however_large_their_jobs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailworkers.queue.ack.FIRST_BACKOFF_SECONDS", 0.01)
    gateway = Slow(lambda args: len(args[0]))
    writer = AckWriter(
        gateway,
        lambda: 1, batch=200, delay=0.0, bound=400, on_written=lambda _: None, on_trouble=lambda _: None,
    )  # fmt: skip
    for number in range(1, 301):
        writer.put(Snooze(made_up(number), 0.0))
    task = asyncio.create_task(writer.run())
    await eventually(lambda: writer.unwritten == 0, "all is written")
    assert sum(gateway.done) == 300
    assert not writer.stalled
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
