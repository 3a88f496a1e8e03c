"""Whether a blocked event loop is seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from mailworkers.daemon.loop_lag import watch_loop_lag
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.vitals import Vitals

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
BLOCKED = 0.15  # seconds


@pytest.mark.parametrize("factory", LOOPS)
def test_a_block_shows_in_vitals_and_metrics_and_fades(
    factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    vitals, metrics = Vitals(), Metrics()
    lags: asyncio.Queue[float] = asyncio.Queue()
    late: list[int] = []
    count = metrics.loop_lagged

    def tell(seconds: float) -> None:
        count(seconds)
        lags.put_nowait(seconds)

    monkeypatch.setattr(metrics, "loop_lagged", tell)

    async def scene() -> None:
        watching = asyncio.create_task(watch_loop_lag(vitals, metrics, interval=0.01, on_late=lambda: late.append(1)))
        async with asyncio.timeout(10):
            await asyncio.sleep(0)  # it is waiting for its first timer now
            time.sleep(BLOCKED)  # noqa: ASYNC251 -- the block that is to be seen
            seen = await lags.get()
            assert seen >= BLOCKED - 0.02
            assert vitals.loop_lag >= seen
            assert late == [1]
            while vitals.loop_lag > seen / 2:
                await lags.get()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())
    total = metrics.registry.get_sample_value("mailworkers_event_loop_delay_seconds_sum")
    assert total is not None
    assert total >= BLOCKED - 0.02
