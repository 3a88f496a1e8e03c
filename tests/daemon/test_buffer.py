"""The buffer: jobs in order, workers woken for them, connected ones first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from mailworkers.daemon.buffer import Buffer
from tests.support.jobs import made_up


@dataclass(eq=False)
class FakeTaker:
    warm: bool = False
    able: bool = True

    def may_take(self) -> bool:
        return self.able


async def waiting(buffer: Buffer, taker: FakeTaker, seconds: float = 5.0) -> asyncio.Task[bool]:
    task = asyncio.create_task(buffer.wait(taker, seconds))
    await asyncio.sleep(0)
    return task


async def test_jobs_leave_in_the_order_in_which_they_came() -> None:
    buffer = Buffer()
    buffer.put([made_up(1), made_up(2)])
    buffer.put_back(made_up(3))
    assert [job.id for job in (buffer.take(), buffer.take(), buffer.take()) if job] == [3, 1, 2]
    assert buffer.take() is None


async def test_one_job_wakes_one_worker_and_a_connected_one_first() -> None:
    buffer = Buffer()
    cold, warm = await waiting(buffer, FakeTaker()), await waiting(buffer, FakeTaker(warm=True))
    buffer.put([made_up()])
    assert await warm
    assert not cold.done()
    cold.cancel()


async def test_a_worker_without_tokens_is_not_woken() -> None:
    buffer = Buffer()
    taker = FakeTaker(able=False)
    task = await waiting(buffer, taker)
    buffer.put([made_up()])
    assert not task.done()
    taker.able = True
    buffer.nudge()
    assert await task


async def test_a_worker_whose_wait_has_just_timed_out_is_passed_over() -> None:
    """Its future is cancelled at once, and its task has not run yet: in between, it would not hear."""
    buffer = Buffer()
    leaving, staying = await waiting(buffer, FakeTaker(warm=True)), await waiting(buffer, FakeTaker())
    leaving.cancel()
    buffer.put([made_up()])
    assert await staying
    assert leaving.cancelled()


async def test_waiting_is_bounded() -> None:
    assert not await Buffer().wait(FakeTaker(), 0.01)


async def test_a_woken_worker_that_is_cancelled_passes_the_job_on() -> None:
    buffer = Buffer()
    first, second = await waiting(buffer, FakeTaker(warm=True)), await waiting(buffer, FakeTaker())
    buffer.put([made_up()])
    first.cancel()
    assert await second


async def test_starving_means_that_an_able_worker_waits_before_an_empty_buffer() -> None:
    buffer = Buffer()
    assert not buffer.starved
    task = await waiting(buffer, FakeTaker())
    assert buffer.starved
    buffer.put([made_up()])
    assert not buffer.starved
    await task


async def test_a_worker_that_finds_nothing_beside_its_mails_on_the_way_starves_too() -> None:
    buffer = Buffer()
    buffer.put([made_up()])
    buffer.take()
    assert not buffer.starved
    assert buffer.take() is None
    assert buffer.starved
    buffer.put([made_up()])
    assert not buffer.starved


async def test_the_content_that_waits_in_memory_is_known() -> None:
    buffer = Buffer()
    large = replace(made_up(1), size=1000)
    buffer.put([large, made_up(2)])
    assert buffer.size == 1000
    buffer.put_back(replace(made_up(3), size=10))
    buffer.take()
    assert buffer.take_out(lambda job: job.id == 1) == [large]
    assert buffer.size == 0


async def test_unwanted_jobs_are_taken_out() -> None:
    buffer = Buffer()
    buffer.put([made_up(1), made_up(2), made_up(3)])
    assert [job.id for job in buffer.take_out(lambda job: job.id != 2)] == [1, 3]
    assert len(buffer) == 1


async def test_the_dispatcher_hears_once_when_the_buffer_is_low() -> None:
    buffer, low = Buffer(), asyncio.Event()
    buffer.put([made_up(1), made_up(2), made_up(3)])
    buffer.tell_when_low(1, low)
    buffer.take()
    assert not low.is_set()
    buffer.take()
    assert low.is_set()
    low.clear()
    buffer.take()
    assert not low.is_set()


async def test_the_dispatcher_hears_at_once_where_the_buffer_is_low_already() -> None:
    low = asyncio.Event()
    Buffer().tell_when_low(0, low)
    assert low.is_set()


async def test_more_urgent_jobs_go_first_whenever_they_came() -> None:
    buffer = Buffer()
    buffer.put([made_up(1, priority=10), made_up(2, priority=10)])
    buffer.put([made_up(3, priority=-5), made_up(4), made_up(5, priority=20)])
    buffer.put_back(made_up(6, priority=10))
    assert [job.id for job in buffer.upcoming(4)] == [3, 4, 6, 1]
    assert [buffer.ahead(priority) for priority in (-6, -5, 9, 10, 100)] == [0, 1, 2, 5, 6]
    assert list(buffer.job_ids()) == [3, 4, 6, 1, 2, 5]
    assert [job.id for job in buffer.take_out(lambda job: job.id in (3, 6))] == [3, 6]
    assert [job.id for job in iter(buffer.take, None)] == [4, 1, 2, 5]
    assert len(buffer) == 0
