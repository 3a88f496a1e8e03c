"""A mail's end: known once, waited for by whoever needs it."""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.replies import Lost, Outcome
from mailworkers.transports.ending import Ending

OUTCOME = Lost("the connection broke")


async def test_a_wait_returns_with_the_outcome() -> None:
    ending = Ending(asyncio.get_running_loop())
    waiting = asyncio.ensure_future(ending)
    await asyncio.sleep(0)

    ending.settle(OUTCOME)

    assert await waiting is OUTCOME


async def test_what_has_ended_is_not_waited_for() -> None:
    ending = Ending(asyncio.get_running_loop())
    assert not ending.done()

    ending.settle(OUTCOME)

    assert ending.done()
    assert await ending is OUTCOME
    assert ending.result() is OUTCOME


async def test_the_outcome_outlives_a_wait_that_was_cancelled_and_can_be_waited_for_again() -> None:
    ending = Ending(asyncio.get_running_loop())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await ending
    again = asyncio.ensure_future(ending)
    await asyncio.sleep(0)

    ending.settle(OUTCOME)

    assert await again is OUTCOME


async def test_a_listener_hears_of_it_at_once() -> None:
    ending = Ending(asyncio.get_running_loop())
    heard: list[Outcome] = []
    ending.then = heard.append

    ending.settle(OUTCOME)

    assert heard == [OUTCOME]
