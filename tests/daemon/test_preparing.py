"""Composing the mails that are next in the line, and letting each row answer for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.preparing import AHEAD_CHARACTERS, AHEAD_JOBS, Prepared, Preparing
from mailworkers.db.pool import Gateway
from mailworkers.mail.row import SenderDefaults
from mailworkers.queue.states import Ended, Job
from tests.support.jobs import made_up

NO_GATEWAY = cast("Gateway", None)  # none of these mails has attachments to read


class Desk:
    """A buffer, and what composes its jobs; `composed` counts."""

    def __init__(self, *jobs: Job) -> None:
        self.composed = 0
        self.buffer = Buffer()
        self.buffer.put(jobs)
        self.preparing = Preparing(NO_GATEWAY, self._sender, self.buffer.upcoming)

    def _sender(self) -> SenderDefaults:
        self.composed += 1
        return SenderDefaults("shop@firm1.example")

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
