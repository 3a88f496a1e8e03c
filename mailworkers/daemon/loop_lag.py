"""How late the event loop is: what no log line tells, and what makes heartbeats and time-outs late with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.vitals import Vitals
from mailworkers.queue.leases import lease_time

LAG_INTERVAL = 0.5  # seconds; twice a second costs nothing that can be measured, and sees every block above that
FADING = 0.9  # of the worst lag each interval: half of it is gone after 3 s, so that a page asked for by then shows it


async def watch_loop_lag(
    vitals: Vitals, metrics: Metrics, interval: float = LAG_INTERVAL, on_late: Callable[[], None] = lambda: None
) -> None:
    """Measure for ever how late a timer fires; ends by cancellation.

    Args:
        vitals: gets the worst lag of late in `loop_lag`, in seconds.
        metrics: gets every single one.
        interval: seconds between two measurements.
        on_late: called where a timer was late by more than that.
    """
    while True:
        due = lease_time() + interval
        await asyncio.sleep(interval)
        lag = max(0.0, lease_time() - due)  # a machine that was suspended is late too
        if lag > interval:
            on_late()
        vitals.loop_lag = max(lag, vitals.loop_lag * FADING)
        metrics.loop_lagged(lag)
