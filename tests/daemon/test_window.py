"""Mails are settled and begun together where the relay is fast, one by one where it is slow."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from mailworkers.daemon.window import OnTheWay, Window
from mailworkers.replies import Accepted, Outcome, Reply, Stage
from mailworkers.transports.base import Session
from mailworkers.transports.ending import Ending
from tests.support.jobs import made_up

TAKEN: Outcome = Accepted(Reply(Stage.FINAL, 250, "2.0.0", "Ok"))


class Connection:
    """A session whose mails end when the test says so."""

    window = 3
    line = 9

    def __init__(self) -> None:
        self.reads = True
        self.endings: list[Ending] = []

    def ready(self) -> bool:
        return self.reads

    def as_session(self) -> Session:
        """The rest of a session is not needed."""
        return cast("Session", self)

    def fill(self, window: Window) -> int:
        """Submit for as long as there is room; how many."""
        before = len(self.endings)
        while window.has_room(self.as_session()):
            ending = Ending(asyncio.get_running_loop())
            self.endings.append(ending)
            window.add(OnTheWay(made_up(len(self.endings)), "", 0.0, 1, ending))
        return len(self.endings) - before

    def end(self, count: int = 1) -> None:
        for ending in [ending for ending in self.endings if not ending.done()][:count]:
            ending.settle(TAKEN)


@pytest.fixture
def connection() -> Connection:
    return Connection()


async def waiting(window: Window, connection: Connection) -> asyncio.Task[None]:
    wait = asyncio.ensure_future(window.wait(connection.as_session()))
    await turns()
    return wait


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def pass_quickly(window: Window, connection: Connection) -> None:
    """One full window that the relay took at once."""
    connection.fill(window)
    wait = await waiting(window, connection)
    connection.end(len(window))
    await wait
    assert sum(1 for _ in window.ended()) > 0


async def test_at_first_no_more_are_submitted_than_keep_the_connection_busy(connection: Connection) -> None:
    assert connection.fill(Window()) == connection.window


async def test_a_session_that_takes_no_more_is_given_no_more(connection: Connection) -> None:
    connection.reads = False
    assert connection.fill(Window()) == 0


async def test_an_end_is_settled_before_further_mails_are_begun(connection: Connection) -> None:
    window = Window()
    connection.fill(window)
    connection.end(connection.window)

    assert connection.fill(window) == 0
    assert len(list(window.ended())) == connection.window
    assert connection.fill(window) == connection.window


async def test_behind_a_fast_relay_s_window_mails_stand_in_line_and_the_next_are_begun_when_they_have_left(
    connection: Connection,
) -> None:
    window = Window()
    await pass_quickly(window, connection)

    assert connection.fill(window) == connection.window + connection.line
    wait = await waiting(window, connection)
    connection.end(connection.line)
    await turns()
    assert not wait.done()

    connection.end()
    await wait

    assert [mail.job.id for mail in window.ended()] == [n + 1 + connection.window for n in range(connection.line + 1)]
    assert len(window) == connection.window - 1


async def test_no_end_waits_long_for_the_others(connection: Connection) -> None:
    # given a relay that was fast, and stops answering after one mail
    window = Window()
    await pass_quickly(window, connection)
    connection.fill(window)
    wait = await waiting(window, connection)
    connection.end()

    # then that one is settled all the same
    async with asyncio.timeout(5):
        await wait
    assert len(list(window.ended())) == 1

    # and none stands in line any more: 20 ms for one mail is slow
    assert connection.fill(window) == 0
    wait = await waiting(window, connection)
    connection.end()
    await wait


async def test_where_no_end_comes_in_that_time_the_first_one_is_waited_for(connection: Connection) -> None:
    window = Window()
    await pass_quickly(window, connection)
    connection.fill(window)
    wait = await waiting(window, connection)
    done, _ = await asyncio.wait([wait], timeout=0.1)
    assert not done

    connection.end()

    await wait
    assert len(list(window.ended())) == 1


async def test_a_window_that_is_not_full_is_looked_at_after_each_end(connection: Connection) -> None:
    window = Window()
    await pass_quickly(window, connection)
    connection.fill(window)
    connection.end(connection.window)
    list(window.ended())
    wait = await waiting(window, connection)

    connection.end()

    await wait
    assert len(list(window.ended())) == 1


async def test_what_ended_while_the_wait_was_cancelled_is_still_handed_out(connection: Connection) -> None:
    window = Window()
    connection.fill(window)
    wait = await waiting(window, connection)
    connection.end()
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait

    assert [mail.job.id for mail in window.ended()] == [1]
    assert [job.id for job in window.jobs()] == [2, 3]
    window.clear()
    assert not len(window)
