"""When the connections of a daemon that was frozen are cut, and when not."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from mailworkers.daemon.freeze import FreezeWatch

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


class Standing:
    """A heartbeat's, as the test sets it."""

    def __init__(self, *, established: bool, holds: bool) -> None:
        self.established = asyncio.Event()
        self.holds = holds
        if established:
            self.established.set()


class Lines:
    """Counts cuts."""

    def __init__(self) -> None:
        self.cuts = 0

    def cut_off(self) -> int:
        self.cuts += 1
        return 3


def watch(lines: Lines, **standing: Any) -> FreezeWatch:
    heartbeat: Any = Standing(**standing)
    return FreezeWatch(heartbeat, lines.cut_off)


@pytest.mark.parametrize("factory", LOOPS)
@pytest.mark.parametrize(("established", "holds", "cuts"), [(True, True, 0), (True, False, 1), (False, False, 1)])
def test_at_sigcont_whatever_left_no_lease(
    factory: Callable[[], asyncio.AbstractEventLoop], established: bool, holds: bool, cuts: int
) -> None:
    lines = Lines()
    before = signal.getsignal(signal.SIGCONT)

    async def scene() -> None:
        with watch(lines, established=established, holds=holds).listening():
            os.kill(os.getpid(), signal.SIGCONT)
            assert lines.cuts == cuts, "the handler runs at once, not in one of the loop's next rounds"
            await asyncio.sleep(0)

    with capture_logs() as said, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())

    assert [line["connections"] for line in said] == [3] * cuts
    assert signal.getsignal(signal.SIGCONT) is before


@pytest.mark.parametrize(("established", "holds", "cuts"), [(True, True, 0), (True, False, 1), (False, False, 0)])
async def test_a_late_loop_cuts_only_where_the_end_of_the_lease_went_unnoticed(
    established: bool, holds: bool, cuts: int
) -> None:
    lines = Lines()

    watch(lines, established=established, holds=holds).late()

    assert lines.cuts == cuts


def test_beside_the_main_thread_there_is_no_signal_to_hear() -> None:
    entered: list[bool] = []

    async def scene() -> None:
        with watch(Lines(), established=True, holds=True).listening():
            entered.append(True)

    thread = threading.Thread(target=lambda: asyncio.run(scene()))
    thread.start()
    thread.join(10)
    assert entered == [True]
