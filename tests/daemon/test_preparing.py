"""Composing the mails that are next in the line, and letting each row answer for itself."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest

from mailworkers.daemon import aside, preparing
from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.preparing import AHEAD_CHARACTERS, AHEAD_JOBS, LARGE_CHARACTERS, MOST_AHEAD, Prepared, Preparing
from mailworkers.db.pool import Gateway
from mailworkers.mail.composer import Headed, finished
from mailworkers.mail.message import WireMail
from mailworkers.mail.row import SenderDefaults
from mailworkers.queue.states import Ended, Job
from mailworkers.replies import FailureClass
from tests.support.jobs import made_up

SECONDS = 10.0
NESTED = "[" * 100_000 + "]" * 100_000


class Blobs:
    """A gateway that knows one blob and no template, and what it was asked for."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.asked: list[Sequence[int]] = []

    async def fetch(self, _query: str, wanted: Sequence[int], *_: object) -> Any:
        self.asked.append(wanted)
        blob = {"filename": "a.bin", "content_type": "", "content": self.content, "octets": len(self.content)}
        return [blob | {"id": number} for number in wanted]

    async def fetchrow(self, *_: object) -> None:
        return None


class Desk:
    """A buffer, and what composes its jobs; `composed` counts."""

    def __init__(self, *jobs: Job, blobs: Blobs | None = None) -> None:
        self.composed = 0
        self.sender = "shop@firm1.example"
        self.buffer = Buffer()
        self.buffer.put(jobs)
        self.preparing = Preparing(cast("Gateway", blobs or Blobs()), self._sender, self.buffer.upcoming)

    def _sender(self) -> SenderDefaults:
        self.composed += 1
        return SenderDefaults(self.sender)

    async def next(self) -> Prepared | Ended:
        job = self.buffer.take()
        assert job is not None
        return await self.preparing.prepare(job)


def a_job(number: int, to_email: str = "ann@example.org") -> Job:
    return made_up(number, text_body=f"Hi {number}", to_email=to_email)


async def test_the_next_jobs_are_composed_with_the_first_and_once() -> None:
    desk = Desk(*[a_job(number) for number in range(AHEAD_JOBS + 2)])

    first = await desk.next()
    at_once = desk.composed
    others = [await desk.next() for _ in range(AHEAD_JOBS)]

    assert at_once == desk.composed == 1 + AHEAD_JOBS
    assert [mail.mail.content.split(b"Hi ")[1] for mail in (first, *others) if isinstance(mail, Prepared)] == [
        b"%d\r\n" % number for number in range(AHEAD_JOBS + 1)
    ]


async def test_an_urgent_mail_that_comes_between_leaves_what_was_composed_ahead() -> None:
    desk = Desk(*[made_up(number, priority=10) for number in range(20)])
    await desk.next()

    desk.buffer.put([made_up(100)])
    urgent = await desk.next()
    for _ in range(19):
        await desk.next()

    assert isinstance(urgent, Prepared)
    assert urgent.message_id.startswith(UUID(int=100).hex)
    assert desk.composed == 21


async def test_a_mail_whose_turn_was_put_off_is_not_composed_again() -> None:
    desk = Desk(*[a_job(number) for number in range(5)])
    await desk.next()
    job = desk.buffer.take()
    assert job is not None
    prepared = await desk.preparing.prepare(job)
    assert isinstance(prepared, Prepared)

    desk.preparing.keep(job, prepared)
    desk.buffer.put_back(job)

    assert await desk.next() is prepared
    for _ in range(3):
        await desk.next()
    assert desk.composed == 5


async def test_what_is_kept_of_mails_that_never_come_back_is_bounded() -> None:
    desk = Desk(*[a_job(number) for number in range(MOST_AHEAD * 2)])

    for _ in range(MOST_AHEAD * 2):
        job = desk.buffer.take()
        assert job is not None
        prepared = await desk.preparing.prepare(job)
        assert isinstance(prepared, Prepared)
        desk.preparing.keep(job, prepared)

    assert len(desk.preparing._ahead) <= MOST_AHEAD + AHEAD_JOBS


async def test_a_large_mail_is_not_kept() -> None:
    job = made_up(1, text_body="x" * (AHEAD_CHARACTERS + 1), size=AHEAD_CHARACTERS + 1)
    desk = Desk()
    prepared = await desk.preparing.prepare(job)
    assert isinstance(prepared, Prepared)

    desk.preparing.keep(job, prepared)

    assert not desk.preparing._ahead


async def test_what_was_composed_ahead_with_other_settings_is_composed_anew() -> None:
    desk = Desk(*[a_job(number) for number in range(3)])
    await desk.next()

    desk.sender = "other@firm1.example"
    desk.preparing.drop_ahead()
    later = [await desk.next() for _ in range(2)]

    assert [mail.mail.envelope.mail_from for mail in later if isinstance(mail, Prepared)] == ["other@firm1.example"] * 2


async def test_a_row_that_cannot_be_a_mail_ends_alone() -> None:
    desk = Desk(a_job(1), a_job(2, to_email="nobody"), a_job(3))

    first, second, third = [await desk.next() for _ in range(3)]

    assert isinstance(first, Prepared)
    assert isinstance(second, Ended)
    assert isinstance(third, Prepared)


async def test_a_job_that_came_back_under_another_lease_is_composed_anew() -> None:
    desk = Desk(a_job(1), a_job(2))
    await desk.next()
    job = desk.buffer.take()
    assert job is not None
    before = desk.composed

    mail = await desk.preparing.prepare(replace(job, lease=job.lease + 1))

    assert isinstance(mail, Prepared)
    assert desk.composed == before + 1


async def test_large_jobs_wait_for_their_turn() -> None:
    large = replace(a_job(2), size=AHEAD_CHARACTERS + 1)
    desk = Desk(a_job(1), large)

    await desk.next()

    assert desk.composed == 1
    assert isinstance(await desk.next(), Prepared)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which thread each mail is composed."""
    names: list[str] = []

    def composed(begun: Headed) -> WireMail:
        names.append(threading.current_thread().name)
        return finished(begun)

    monkeypatch.setattr(preparing, "finished", composed)
    return names


@pytest.mark.parametrize(("size", "thread"), [(LARGE_CHARACTERS, "MainThread"), (LARGE_CHARACTERS + 1, "aside_0")])
async def test_a_large_mail_is_composed_in_a_thread(size: int, thread: str, threads: list[str]) -> None:
    prepared = await Desk(made_up(text_body="x" * size, size=size)).next()

    assert isinstance(prepared, Prepared)
    assert len(prepared.mail.content) > size
    assert threads == [thread]


async def test_what_a_row_refers_to_counts_too(threads: list[str]) -> None:
    blobs = Blobs(bytes(LARGE_CHARACTERS + 1))
    prepared = await Desk(made_up(attachments='[{"blob_id": 7}]'), blobs=blobs).next()

    assert isinstance(prepared, Prepared)
    assert blobs.asked == [[7]]
    assert threads == ["aside_0"]


async def test_attachments_that_refer_to_nothing_ask_for_nothing() -> None:
    blobs = Blobs()
    assert isinstance(await Desk(made_up(attachments='[{"content": "eA=="}]'), blobs=blobs).next(), Prepared)
    assert blobs.asked == []


async def test_the_others_go_on_while_large_mails_are_composed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a composer that keeps a large mail until it is told to go on
    go_on, entered = threading.Event(), threading.Semaphore(0)

    def slowly(begun: Headed) -> WireMail:
        if begun.message.subject == "large":
            entered.release()
            assert go_on.wait(SECONDS)
        return finished(begun)

    monkeypatch.setattr(preparing, "finished", slowly)
    large = [made_up(number, size=LARGE_CHARACTERS + 1, subject="large") for number in (1, 2)]
    desk = Desk(*large, a_job(3))
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
        # when two large mails are being prepared
        both = [tasks.create_task(desk.next()) for _ in large]
        await asyncio.to_thread(entered.acquire)

        # then a small one is ready before them, and only one of the two is in the composer
        assert isinstance(await desk.next(), Prepared)
        assert not entered.acquire(blocking=False)
        go_on.set()
        assert [type(await one) for one in both] == [Prepared, Prepared]


async def test_one_that_takes_for_ever_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def stuck(begun: Headed) -> WireMail:
        if begun.message.subject == "stuck":
            go_on.wait(SECONDS)
        return finished(begun)

    monkeypatch.setattr(preparing, "finished", stuck)
    desk = Desk(made_up(1, size=LARGE_CHARACTERS + 1, subject="stuck"), made_up(2, size=LARGE_CHARACTERS + 1))
    with monkeypatch.context() as patched:
        patched.setattr(aside, "LONGEST_SECONDS", 0.05)
        ended = await desk.next()
    other = await desk.next()
    go_on.set()

    assert isinstance(ended, Ended)
    assert (ended.why.failure, ended.why.text) == (FailureClass.SYSTEM, "composing took more than 0.05 s")
    assert isinstance(other, Prepared)


@pytest.mark.parametrize("size", [1, LARGE_CHARACTERS + 1])
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("attachments", json.dumps([{"content": "not base64!"}]), "not valid base64"),
        ("attachments", json.dumps([{"blob_id": "seven"}]), "must be a whole number"),
        ("attachments", NESTED, "nested too deeply"),
        ("headers", NESTED, "nested too deeply"),
        ("template", "welcome", "does not exist"),
    ],
)
async def test_a_row_that_never_will_be_a_mail_ends_with_the_reason(
    size: int, column: str, value: str, words: str
) -> None:
    ended = await Desk(made_up(size=size, **cast("Any", {column: value}))).next()

    assert isinstance(ended, Ended)
    assert words in ended.why.text
    assert ended.why.failure is FailureClass.DATA


@pytest.mark.parametrize("size", [1, LARGE_CHARACTERS + 1])
async def test_a_bug_of_ours_ends_that_job_alone(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(_begun: Headed) -> WireMail:
        raise ZeroDivisionError

    monkeypatch.setattr(preparing, "finished", buggy)
    ended = await Desk(made_up(size=size)).next()

    assert isinstance(ended, Ended)
    assert ended.why.failure is FailureClass.SYSTEM
