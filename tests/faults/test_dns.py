"""Case 26: the relay's name cannot be looked up, as its name server fails or says nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost
from tests.support.daemon import DaemonProcess
from tests.support.name_server import Mood, NameServer, asks_only_it
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
RELAY = "relay.test"
MAILS = 50
WORKERS = 4
LATER_PROBES = 2
MOST_QUESTIONS = 16  # 4 workers' first, and those of two later probes, each for two types of address
BACK_SECONDS = 20.0  # the longest rest after so few probes is 8 s


@pytest.mark.mount
@pytest.mark.parametrize("mood", ["fails", "silent"])
async def test_case_26_the_name_server(
    mood: Mood, place: Place, start_daemon: StartDaemon, tmp_path: Path, measured: Measured
) -> None:
    async with Sink(keep_content=False) as sink, NameServer(mood) as names:
        # given a relay known by its name, and a name server that fails
        daemon = start_daemon(
            place.dsn(), sink.port, before=asks_only_it(tmp_path), SMTP_HOST=RELAY, SMTP_TLS="none",
            MIN_WORKERS=WORKERS, MAX_WORKERS=WORKERS,
        )  # fmt: skip
        await daemon.ready()

        # when mails are inserted, then the breaker opens, and one worker at a time asks again
        jobs = await insert(place.owner, MAILS)

        async def says_why() -> bool:
            answer = await daemon.health()
            (check,) = answer["checks"]["relay"] if answer else ({"status": "pass"},)
            return check["status"] == "fail" and f"cannot find the address of {RELAY}" in check["output"]

        await eventually(says_why, "/health names the relay that cannot be found")
        first = names.asked[mood]
        await eventually(lambda: names.asked[mood] >= first + 2 * LATER_PROBES, "it is asked again")
        assert names.asked[mood] <= MOST_QUESTIONS
        await nothing_lost(place.owner, jobs)
        assert not sink.connections

        # and all leave once it answers, without a person, and with no attempt spent
        names.mood = "answers"
        began = time.monotonic()
        await all_sent(place.owner, jobs, BACK_SECONDS)
        seconds = time.monotonic() - began
        found = await hold(place.owner, sink, jobs, Bound(), daemon)
        measured(
            f"case 26 (the name server {mood}): {names.asked[mood]} questions; all sent {seconds:.2f} s after it "
            f"answered; lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )
