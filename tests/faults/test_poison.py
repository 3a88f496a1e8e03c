"""Case 38: rows that are as bad as INSERT lets pass. Each ends alone, and the others go on beside it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg

from tests.faults.conftest import CONNECT_SECONDS, STATEMENT_SECONDS, Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost, well
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
WORKERS = 4
FEW = 40
LOOK_SECONDS = 0.005
PACE_SECONDS = 0.05
END_SECONDS = 60.0
RECIPIENTS = "(SELECT array_agg('{}' || n || '@bücher.example') FROM generate_series(1, 100) AS n)"
# How each ends, and the rest of its INSERT.
POISON = {
    "a body of 40 MB": ("failed", "text_body", "repeat(repeat('x', 70) || E'\\n', 590000)"),
    "a body of 24 MB that is hard to encode": ("sent", "text_body", "repeat('<p>ä' || repeat('x', 900) || '</p>', 27600)"),
    "an attachment of 24 MB": (
        "sent", "text_body, attachments", "'', jsonb_build_array(jsonb_build_object('content', repeat('QUJD', 8300000)))",
    ),
    "an attachment of 40 MB of blanks": (
        "sent", "text_body, attachments", "'', jsonb_build_array(jsonb_build_object('content', repeat(' ', 41000000)))",
    ),
    "100 files": (
        "sent", "text_body, attachments",
        "'', (SELECT jsonb_agg(jsonb_build_object('content', 'QUJD', 'filename', repeat('ü', 1000))) FROM generate_series(1, 100))",
    ),
    "60,000 headers": (
        "failed", "text_body, headers", "'', (SELECT jsonb_object_agg('x-' || n, '') FROM generate_series(1, 60000) AS n)",
    ),
    "200 recipients": ("sent", "text_body, cc, bcc", f"'', {RECIPIENTS.format('c')}, {RECIPIENTS.format('b')}"),
    "JSON nested a thousand times": (
        "failed", "template, data", "'missing', jsonb_build_object('a', (repeat('[', 1000) || repeat(']', 1000))::jsonb)",
    ),
}  # fmt: skip
INSERT = """
INSERT INTO mailworkers.email_jobs (to_email, subject, scheduled_at, {})
SELECT 'poison' || nextval('mailworkers.lease_numbers') || '@example.org', 'Poison', now() + interval '1 hour', {} RETURNING id
"""
NOW_DUE = "UPDATE mailworkers.email_jobs SET scheduled_at = now() WHERE id = $1"
END = "SELECT status FROM mailworkers.email_sends WHERE job_id = $1"
MOST_MEDIAN = 0.5  # seconds from insert to arrival; a calm daemon takes some 0.02
# On a busy machine. A calm one takes 0.2 s to claim 40 MB, and holds the interpreter's lock for 0.3 s to encode 24 MB.
MOST_SECONDS = 8.0


async def test_case_38_poison_rows(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given rows as bad as they come, for later, and a daemon that sends a mail now and then
        poison = {await place.owner.fetchval(INSERT.format(*row[1:])): name for name, row in POISON.items()}
        daemon = start_daemon(place.dsn(), sink.port, MIN_WORKERS=WORKERS, MAX_WORKERS=WORKERS)
        await daemon.ready()
        async with traffic(place, sink) as others:
            await eventually(lambda: len(others.seconds) >= FEW, "mails flow")
            before, memory = list(others.seconds), await well(daemon)

            # when one after the other becomes due, then each ends as it must, by itself
            began = time.monotonic()
            for job, name in poison.items():
                await place.owner.execute(NOW_DUE, job)
                await eventually(partial(has_ended, place.owner, job, POISON[name][0]), name, END_SECONDS)
            seconds = time.monotonic() - began
        await nothing_lost(place.owner, list(poison))

        # and the others hardly wait, and the daemon keeps within its memory
        during = others.seconds[len(before) :]
        assert statistics.median(during) < MOST_MEDIAN
        assert max(during) < MOST_SECONDS
        sent = [job for job, name in poison.items() if POISON[name][0] == "sent"]
        found = await hold(place.owner, sink, [*others.jobs, *sent], Bound(attempts=0), daemon)
        measured(
            f"case 38: {len(poison)} kinds of poison ended within {seconds:.1f} s; {len(during)} mails beside them arrived "
            f"{statistics.median(during) * 1000:.0f} ms after their insert, at the latest {max(during) * 1000:.0f} (without: "
            f"{statistics.median(before) * 1000:.0f}, {max(before) * 1000:.0f}); memory {memory // 1024} → "
            f"{await well(daemon) // 1024} MB; lost 0, sent twice {found.twice}"
        )


async def has_ended(owner: Any, job: int, wanted: str) -> bool:
    """Whether it has; as it must, or the test fails."""
    status = await owner.fetchval(END, job)
    assert status in (None, wanted)
    return status is not None


@dataclass(slots=True)
class Traffic:
    """Mails that are inserted one by one, and how long each took from there to the relay, in the order of arrival."""

    jobs: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@asynccontextmanager
async def traffic(place: Place, sink: Sink) -> AsyncIterator[Traffic]:
    """Mails as long as the block runs, over a connection of their own; at its end all are sent."""
    made, inserted, enough = Traffic(), dict[str, float](), asyncio.Event()

    async def flow() -> None:
        owner = await asyncpg.connect(place.dsn(), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        while not enough.is_set():
            number = len(made.jobs) + 1
            inserted[f"reader{number}@example.org"] = time.monotonic()
            made.jobs += await insert(owner, 1, first=number)
            await asyncio.sleep(PACE_SECONDS)
        owner.terminate()

    async def watch() -> None:
        seen = 0
        while not enough.is_set() or len(made.seconds) < len(made.jobs):
            arrived = [mail.rcpt_to[0] for mail in sink.mails[seen:]]
            seen += len(arrived)
            made.seconds += [time.monotonic() - inserted[to] for to in arrived if to in inserted]
            await asyncio.sleep(LOOK_SECONDS)

    async with asyncio.timeout(2 * END_SECONDS), asyncio.TaskGroup() as tasks:
        flowing = tasks.create_task(flow())
        tasks.create_task(watch())
        yield made
        enough.set()
        await flowing
    await all_sent(place.owner, made.jobs)
