"""A daemon to be measured, in a process of its own: `python -m mailworkers.bench.daemon`.

It is the daemon of `mailworkers run`, health page included. The order that it reads says what is different: the settings
to override, whether mails go to a transport that accepts at once, whether metrics are counted, and whether each mail's
end is told. Answers: `usage` since the start, `measure` begins to count CPU time by stage, `measured` ends it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mailworkers.bench.answering import Parent, announce, run
from mailworkers.bench.memory import peak_bytes
from mailworkers.bench.null_transport import NullTransport
from mailworkers.bench.stages import StageSampler
from mailworkers.bench.telling import TellingTransport
from mailworkers.daemon.collector import calm_collector
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.supervisor import Running
from mailworkers.daemon.supervisor import run as run_daemon
from mailworkers.errors import MailworkersError
from mailworkers.settings import Settings, load
from mailworkers.transports import Transport, transport_for
from mailworkers.web.server import WebServer


class Measured:
    """What the parent may ask of one daemon."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._sampler = StageSampler()

    async def usage(self) -> Mapping[str, object]:
        """CPU seconds, statements and peak memory since the start."""
        return {
            "cpu_seconds": time.process_time(),
            "statements": self._running.database.statements,
            "peak_bytes": peak_bytes(),
        }

    async def measure(self) -> Mapping[str, object]:
        """Begin to count by stage."""
        self._sampler.start()
        return await self.usage()

    async def measured(self) -> Mapping[str, object]:
        """End it: the usage, and the stages' shares."""
        return {**await self.usage(), "stages": self._sampler.stop()}


async def main() -> None:
    """Run until standard input ends."""
    parent = await Parent.meet()
    order = await parent.order()
    try:
        await _run(order, parent)
    except MailworkersError as known:
        announce({"error": str(known)})


async def _run(order: Mapping[str, Any], parent: Parent) -> None:
    settings = load(**order["settings"])
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    daemon = asyncio.create_task(
        run_daemon(
            settings,
            order["dsn"],
            make_page=WebServer,
            on_ready=ready.set_result,
            metrics=Metrics(enabled=order["metrics"]),
            transport=_transport(order, settings),
        )
    )
    begun: set[asyncio.Future[Any]] = {daemon, ready}
    await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        await _serve(ready.result(), daemon, parent)
    await daemon


async def _serve(running: Running, daemon: asyncio.Task[int], parent: Parent) -> None:
    """Answer until the parent has no more questions, or the daemon has ended."""
    calm_collector()
    measured = Measured(running)
    announce({"ready": True})
    answers = {"usage": measured.usage, "measure": measured.measure, "measured": measured.measured}
    answering = asyncio.create_task(parent.answer(answers))
    await asyncio.wait({answering, daemon}, return_when=asyncio.FIRST_COMPLETED)
    answering.cancel()
    running.stop.set()


def _transport(order: Mapping[str, Any], settings: Settings) -> Transport:
    if order["null_transport"]:
        return NullTransport()
    transport = transport_for(settings)
    return TellingTransport(transport) if order["tell"] else transport


if __name__ == "__main__":
    run(main())
