"""What every fault case ends with: nothing lost, nothing stuck, nothing sent more often than promised, no false word.

    async with witnessed(daemon) as witness:
        …                                     # the fault
    await hold(owner, sink, Bound(twice=0), jobs, daemon)

Each committed insert has a recorded end or is scheduled, and never both. Duplicates are counted by Message-ID at the sink.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailworkers.daemon.maintenance import SWEEP_SECONDS
from mailworkers.queue.sightings import SUSPICION_SECONDS
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

DONE_SECONDS = 60.0
LOOK_SECONDS = 0.1  # between two looks at the health page
MOST_MEMORY_KIB = (
    400 * 1024
)  # far above what a daemon with these jobs needs: only a leak or an unbounded buffer passes it
SLACK_SECONDS = 2.0  # a busy machine may be that late with a sweep

INSERT = """
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body, delivery)
SELECT 'reader' || n || '@example.org', 'Letter ' || n, 'Hi reader ' || n || repeat(E'\\n' || repeat('x', 71), $4 / 72), $3
FROM generate_series($1::integer, $2::integer) AS n
RETURNING id
"""
# Where a job stands: (its record's rows, whether it lives).
STANDING = """
SELECT wanted.id,
    (SELECT count(*) FROM mailworkers.email_sends AS s WHERE s.job_id = wanted.id) AS ends,
    (SELECT count(*) FROM mailworkers.email_jobs AS j WHERE j.id = wanted.id) AS lives
FROM unnest($1::bigint[]) AS wanted(id)
"""
# Claims that nobody answers for any more, although their lease ended $1 seconds ago.
STALE = """
SELECT count(*) FROM mailworkers.email_jobs AS job LEFT JOIN mailworkers.email_daemons AS d ON d.id = job.daemon_id
WHERE job.status = 'sending'
  AND (d.id IS NULL OR least(d.lease_until, d.ended_at) < now() - $1::float8 * interval '1 second')
"""
RECORDED = "SELECT count(*) FROM mailworkers.email_sends WHERE job_id = ANY ($1::bigint[]) AND status = 'sent'"
UNKNOWN = "SELECT count(*) FROM mailworkers.email_sends WHERE job_id = ANY ($1::bigint[]) AND status = 'unknown'"
SAID = "SELECT to_email, message_id FROM mailworkers.email_sends WHERE job_id = ANY ($1::bigint[]) AND status = 'sent'"
ATTEMPTS = "SELECT count(*) FROM mailworkers.email_retry_jobs WHERE job_id = ANY ($1::bigint[])"


@dataclass(slots=True)
class Witness:
    """What the health page said while a block ran: `(seconds since its start, HTTP status of /readyz, /health)`."""

    began: float = field(default_factory=time.monotonic)
    said: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def statuses(self, check: str) -> Counter[str]:
        """How often a check had each status."""
        return Counter(
            health["checks"][check][0]["status"] for _, _, health in self.said if check in health.get("checks", {})
        )

    @property
    def unready(self) -> int:
        """Looks that found the daemon not ready."""
        return sum(1 for _, ready, _ in self.said if ready == 503)

    @property
    def silent(self) -> int:
        """Looks that got no answer."""
        return sum(1 for _, ready, _ in self.said if ready == 0)


@asynccontextmanager
async def witnessed(daemon: DaemonProcess) -> AsyncIterator[Witness]:
    """Look at the daemon's pages as long as the block runs."""
    witness = Witness()

    async def look() -> None:
        while True:
            ready, health = await daemon.status("/readyz"), await daemon.health()
            witness.said.append((time.monotonic() - witness.began, ready, health))
            await asyncio.sleep(LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield witness
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


@dataclass(frozen=True, slots=True)
class Bound:
    """What a case allows: arrivals one too many, and failed attempts on record; `unknown` ends there are exactly so many."""

    twice: int = 0
    attempts: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """What was found."""

    mails: int
    twice: int
    attempts: int


async def insert(
    owner: Any, mails: int, first: int = 1, *, delivery: str = "at_least_once", octets: int = 0
) -> list[int]:
    """Insert mails in one commit, each to a recipient of its own and with so many octets of text beyond a line; the jobs' ids."""
    rows = await owner.fetch(INSERT, first, first + mails - 1, delivery, octets)
    return [row["id"] for row in rows]


async def all_sent(owner: Any, jobs: Sequence[int], seconds: float = DONE_SECONDS) -> None:
    """Wait until the record calls all of them sent."""

    async def done() -> bool:
        return bool(await owner.fetchval(RECORDED, jobs) == len(jobs))

    try:
        await eventually(done, f"{len(jobs)} mails are recorded as sent", seconds)
    except AssertionError:
        states = await owner.fetch("SELECT status, count(*) FROM mailworkers.email_jobs GROUP BY status")
        ends = await owner.fetch("SELECT status, count(*) FROM mailworkers.email_sends GROUP BY status")
        raise AssertionError(f"not all sent: live {states}, ended {ends}") from None


async def hold(
    owner: Any, sink: Sink, jobs: Sequence[int], bound: Bound, *daemons: DaemonProcess, lease_seconds: float = 30.0
) -> Account:
    """Check every promise about `jobs`, after they all ended, and about the daemons that still run."""
    await nothing_lost(owner, jobs)
    await nothing_stuck(owner, lease_seconds)
    account = await at_the_sink(owner, sink, jobs)
    assert await owner.fetchval(UNKNOWN, jobs) == bound.unknown
    assert account.mails == len(jobs) - bound.unknown
    assert account.twice <= bound.twice, account
    assert account.attempts <= bound.attempts, account
    for daemon in daemons:
        await well(daemon)
    return account


async def nothing_lost(owner: Any, jobs: Sequence[int]) -> None:
    """Each committed insert has one recorded end, or lives: never neither, never both, never two ends."""
    wrong = [row["id"] for row in await owner.fetch(STANDING, jobs) if row["ends"] + row["lives"] != 1]
    assert not wrong, f"{len(wrong)} jobs are lost or doubled, such as {wrong[:5]}"


async def nothing_stuck(owner: Any, lease_seconds: float) -> None:
    """No claim is older than a lease and the sweep that ends it."""
    late = lease_seconds + SUSPICION_SECONDS + 2 * SWEEP_SECONDS + SLACK_SECONDS
    assert await owner.fetchval(STALE, late - lease_seconds) == 0, "claims whose lease has long ended are still held"


async def at_the_sink(owner: Any, sink: Sink, jobs: Sequence[int]) -> Account:
    """Compare what arrived with the record: the same mails, each under one Message-ID however often it came."""
    arrived: dict[str, set[str]] = defaultdict(set)
    for mail in sink.mails:
        arrived[mail.rcpt_to[0]].add(mail.message_id)
    said = {row["to_email"]: {row["message_id"].strip("<>")} for row in await owner.fetch(SAID, jobs)}
    assert said == {to: ids for to, ids in arrived.items() if to in said}, "a mail came under another Message-ID"
    assert len(sink.message_ids) == len(arrived), "two mails share a Message-ID"
    return Account(
        mails=len(said.keys() & arrived.keys()),
        twice=sum(count - 1 for count in sink.message_ids.values()),
        attempts=await owner.fetchval(ATTEMPTS, jobs),
    )


async def well(daemon: DaemonProcess) -> int:
    """It lives, says that all is well, kept within its memory, and met no bug. Returns the most memory it ever had, in KiB."""
    assert daemon.process.poll() is None, daemon.output
    await eventually(daemon.is_ready, "the daemon is ready again")

    async def passing() -> bool:
        answer = await daemon.health()
        return bool(answer) and answer["status"] in ("pass", "warn")

    await eventually(passing, "/health passes again")
    peak = _peak_memory_kib(daemon.process.pid)
    assert peak < MOST_MEMORY_KIB
    assert "Traceback" not in daemon.output, daemon.output
    return peak


def _peak_memory_kib(pid: int) -> int:
    """The most that a process ever had in memory (`VmHWM` of proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak)
