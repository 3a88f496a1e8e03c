"""Acks by group commit: results gather for a few milliseconds and are written in one statement.

A kill sends again at most the mails in flight and the results that are not written yet; `max_unwritten` bounds the
latter, and workers wait at that bound. While writing fails, `stalled` tells the dispatcher to claim nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mailworkers.db.pool import Gateway
from mailworkers.errors import DatabaseError
from mailworkers.queue.portion import Portion
from mailworkers.queue.states import Ended, Failure, Result, Retry, Sent, Snooze
from mailworkers.replies import FailureClass

FIRST_BACKOFF_SECONDS = 0.1  # a write that failed is tried again soon: every mail behind it is at stake
LONGEST_BACKOFF_SECONDS = 5.0
OURS = "ours"  # in place of a failure's class: the mail waits by our own choice
LONGEST_TEXT = 2000  # characters of a relay's answer that are worth keeping


@dataclass(frozen=True, slots=True)
class Written:
    """One group commit. `matched` is below `len(results)` where leases had been taken away meanwhile, or where an earlier
    try had been committed although its answer was lost (`repeated`). `late` tells that a mail
    which the relay took was among these; it was claimed at that monotonic time or later."""

    results: Sequence[Result]
    matched: int
    seconds: float
    repeated: bool
    late: float | None = None


class AckWriter:
    """Collects results and writes them in order.

    Args:
        gateway: a gateway of its own, so that no claim can keep an ack waiting.
        daemon_id: gives the daemon's number, under which results are counted.
        batch: results that are written without waiting for more.
        delay: seconds that the first result of a batch waits for company.
        bound: results that may be unwritten at once.
        on_written: told of each group commit.
        on_trouble: told of each failed try.
    """

    def __init__(
        self,
        gateway: Gateway,
        daemon_id: Callable[[], int],
        *,
        batch: int,
        delay: float,
        bound: int,
        on_written: Callable[[Written], None],
        on_trouble: Callable[[DatabaseError], None],
    ) -> None:
        self.stalled = False
        self._daemon_id = daemon_id
        self._gateway = gateway
        self._batch = batch
        self._delay = delay
        self._bound = bound
        self._portion = Portion(bound)
        self._on_written = on_written
        self._on_trouble = on_trouble
        self._pending: deque[Result] = deque()
        self._writing: Sequence[Result] = ()
        self._something = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def unwritten(self) -> int:
        """Results that the database does not have yet."""
        return len(self._pending) + len(self._writing)

    @property
    def unwritten_results(self) -> int:
        """Those among them that tell of an attempt; the others only give jobs back."""
        return sum(not isinstance(result, Snooze) for result in (*self._writing, *self._pending))

    def job_ids(self) -> Iterator[int]:
        """Jobs whose results the database does not have yet."""
        return (result.job.id for result in (*self._writing, *self._pending))

    @property
    def has_room(self) -> bool:
        """Whether another mail may be begun: its result would still be within the bound."""
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        """Return when `has_room`. Callers bound it."""
        await self._room.wait()

    def put(self, result: Result) -> None:
        """Hand over a result. Never waits: the bound is kept by not beginning mails, never by forgetting results."""
        self._pending.append(result)
        self._empty.clear()
        self._something.set()
        if len(self._pending) >= self._batch:
            self._enough.set()
        self._measure_room()

    async def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until everything is written; tells whether it is."""
        self._enough.set()
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Write until cancelled. A result that could not be written stays first in line."""
        while True:
            await self._something.wait()
            await self._wait_for_company()
            results = [self._pending.popleft() for _ in range(min(len(self._pending), self._bound))]
            self._writing = results
            try:
                await self._write_until_done(results)
            except asyncio.CancelledError:
                self._pending.extendleft(reversed(self._writing))
                raise
            finally:
                self._writing = ()
                self._settle()

    async def _wait_for_company(self) -> None:
        if len(self._pending) >= self._batch or not self._delay:
            return
        try:
            async with asyncio.timeout(self._delay):
                await self._enough.wait()
        except TimeoutError:
            return

    async def _write_until_done(self, results: Sequence[Result]) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        repeated = False
        while results:
            part = results[: self._portion.size]
            began = time.perf_counter()
            try:
                matched, late = await self._write(part)
            except DatabaseError as trouble:
                self.stalled = True
                self._portion.failed()
                self._on_trouble(trouble)
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
                repeated = True
            else:
                self.stalled = False
                self._portion.worked()
                backoff = FIRST_BACKOFF_SECONDS
                results = results[len(part) :]
                self._writing = results
                self._on_written(Written(part, matched, time.perf_counter() - began, repeated, late))

    async def _write(self, results: Sequence[Result]) -> tuple[int, float | None]:
        # In the order of ids, in which a new lease adopts them: rows locked in two orders would be a deadlock.
        results = sorted(results, key=lambda result: result.job.id)
        sent = [result for result in results if isinstance(result, Sent)]
        others = [result for result in results if not isinstance(result, Sent)]
        matched, late = 0, None
        if sent:
            matched = await self._gateway.fetchval("queue/ack_sent", *_sent_columns(sent), self._daemon_id())
            late = min(result.job.claimed for result in sent) if matched < len(sent) else None
        if others:
            matched += await self._gateway.fetchval("queue/ack_failed", *_other_columns(others), self._daemon_id())
        return matched, late

    def _settle(self) -> None:
        if not self._pending:
            self._something.clear()
            self._empty.set()
        if len(self._pending) < self._batch:
            self._enough.clear()
        self._measure_room()

    def _measure_room(self) -> None:
        if self.unwritten < self._bound:
            self._room.set()
        else:
            self._room.clear()


def storable(text: str) -> str:
    """Text as PostgreSQL takes it: no NUL, no lone surrogates, of bounded length."""
    return text[:LONGEST_TEXT].replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _sent_columns(results: Sequence[Sent]) -> tuple[list[object], ...]:
    return (
        [result.job.id for result in results],
        [result.job.lease for result in results],
        [result.message_id for result in results],
        [result.reply.code for result in results],
        [result.reply.enhanced for result in results],
        [storable(result.reply.text) for result in results],
        [_refused_json(result) if result.refused else None for result in results],
    )


def _refused_json(result: Sent) -> str:
    return json.dumps(
        [
            {
                "email": storable(refusal.email),
                "code": refusal.reply.code,
                "enhanced_code": refusal.reply.enhanced,
                "reply": storable(refusal.reply.text),
            }
            for refusal in result.refused
        ]
    )


def _other_columns(results: Sequence[Result]) -> tuple[list[object], ...]:
    rows = [_other_row(result) for result in results]
    return tuple(list(column) for column in zip(*rows, strict=True))


def _other_row(result: Result) -> tuple[object, ...]:
    """id, lease, end, delay, spent, class, stage, code, enhanced code, text, Message-ID: as `queue/ack_failed` takes them."""
    match result:
        case Ended(job, end, why, message_id):
            return (job.id, job.lease, end.value, 0.0, True, *_failure_columns(why), message_id or None)
        case Retry(job, delay, why):
            return (job.id, job.lease, None, delay, True, *_failure_columns(why), None)
        case Snooze(job, delay, why, put_off, ours):
            marked = FailureClass.PROVIDER.value if put_off else OURS if ours else None
            return (job.id, job.lease, None, delay, False, marked, None, None, None, storable(why) or None, None)
        case Sent():
            raise AssertionError("sent mails are written by queue/ack_sent")


def _failure_columns(why: Failure) -> tuple[object, ...]:
    reply = why.reply
    stage = reply.stage if reply else why.stage
    return (
        why.failure.value,
        stage.value if stage else None,
        reply.code if reply else None,
        reply.enhanced if reply else None,
        storable(why.text),
    )
