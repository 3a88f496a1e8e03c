"""Case 8 at its worst moment: the relay's go-ahead for a mail's content lies in the socket of a daemon that wakes too late."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.faults.relays import AtCommand
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
LEASE_SECONDS = 3.0
LEASE = {
    "LEASE_SECONDS": LEASE_SECONDS,
    "HEARTBEAT_SECONDS": 1,
    "MIN_WORKERS": 1,
    "MAX_WORKERS": 1,
    "EVENT_LOOP": "uvloop",
}
TAKEN_OVER_SECONDS = LEASE_SECONDS + 5.0


async def test_case_8_frozen_between_envelope_and_content(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    order = AtCommand(b"DATA")
    async with (
        Sink(extensions=("PIPELINING",), keep_content=False) as sink,
        Proxy(sink.port, order.watch) as relay,
    ):
        # given a daemon that freezes when a mail's envelope has left, and the relay's answers are still on their way
        order.proxy = relay
        first = start_daemon(place.dsn(), relay.port, INSTANCE="first", **LEASE)
        await first.ready()
        jobs = await insert(place.owner, 1)
        await eventually(lambda: order.answered, "the relay has answered the envelope")
        first.send(signal.SIGSTOP)
        try:
            # when another one takes over at the end of the lease, and the answers come meanwhile
            second = start_daemon(place.dsn(), sink.port, INSTANCE="second", **LEASE)
            await second.ready()
            await all_sent(place.owner, jobs, TAKEN_OVER_SECONDS)
            relay.go_on()
            await eventually(lambda: _unread(relay.port) > 0, "the answers lie in the frozen daemon's socket")
        finally:
            first.send(signal.SIGCONT)

        # then the one that wakes sends no content, and works on under a new lease
        await eventually(lambda: "lease lost" in first.output, "it notices")
        await first.ready()
        second.send(signal.SIGTERM)
        await second.ended()
        jobs += await insert(place.owner, 1, first=2)
        await all_sent(place.owner, jobs)
        assert "the connections with the relay were cut" in first.output
        found = await hold(place.owner, sink, jobs, Bound(), first, lease_seconds=LEASE_SECONDS)
        measured(f"case 8, before the content: lost 0, sent twice {found.twice}")


def _unread(port: int) -> int:
    """Octets that wait to be read in sockets which are connected with a loopback port (proc_net_tcp of the kernel)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(line[4].partition(":")[2], 16) for line in lines if int(line[2].partition(":")[2], 16) == port)
