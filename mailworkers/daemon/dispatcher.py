"""The dispatcher: claims what workers and rate limits can use now, and sleeps until there is more.

It is one loop: hold back where it must; look where the work is; claim; hand over; and when nothing is due, ask to be
woken and wait for a notification, for the next scheduled job, or for the next poll, whichever is first.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.crew import Crew
from mailworkers.daemon.heartbeat import Heartbeat
from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.relay_gate import RelayGate
from mailworkers.daemon.settling import Settling
from mailworkers.daemon.trouble import Trouble
from mailworkers.daemon.vitals import Vitals
from mailworkers.errors import DatabaseError
from mailworkers.limits import Limiter, system_keys, workspace_keys
from mailworkers.queue.ack import AckWriter
from mailworkers.queue.claim import Claims, Wish
from mailworkers.queue.states import Job, Lane

HELD_BACK_SECONDS = 0.1  # how often to ask whether claiming is allowed again
LOW_SHARE = 0.5  # the buffer is filled again when half of it is gone: a claim's time passes meanwhile
STALE_SECONDS = 0.2  # jobs that waited longer in the buffer show that it is too long for the rate
# A look costs a share of the time at most, so that a long list of lanes, or dead entries that vacuum may not remove yet,
# slow nothing down; and when it is cheap it is frequent, so that urgent mail is seen soon.
LOOK_SHARE = 0.05
SHORTEST_LOOK_SECONDS = 0.02
# Where a whole look is not worth its cost more often than this, looks beyond the known bounds come between two of them.
SELDOM_SECONDS = 1.0
FAILED_LOOK_SECONDS = 30.0  # after a whole look that was ended by its time-out
# An insert under way keeps the announcement back. Most commit within milliseconds; a long one is waited for by polling.
REFUSED_SECONDS = 0.01
MOST_REFUSALS = 12
# Characters of content that wait in memory: large mails make the buffer short, whatever their number.
MOST_BUFFERED = 32 * 1024 * 1024
# A claim may commit after its connection was given up: what came of that is looked for so often.
DISOWN_SECONDS = 10.0
# A round with a frozen database: some calls, each ended by its time-out. Beyond that, the loop itself is stuck.
LONGEST_ROUND_SECONDS = 60.0
# Jobs that a guess may claim: an insert that woke an idle daemon is mostly one, and tokens for it are only being leased.
GUESSED_JOBS = 10
GUESSED_WORKERS = 2  # that get tokens for them: to ask for all would take longer than the claim
# With claims of this size there is always more: inserts are spared their notifications.
BUSY_JOBS = 50

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """What the dispatcher works with. `seen` hears of what was claimed, where somebody wants to."""

    claims: Claims
    buffer: Buffer
    book: LaneBook
    crew: Crew
    acks: AckWriter
    settling: Settling
    heartbeat: Heartbeat
    relay: RelayGate
    limiter: Limiter
    metrics: Metrics
    vitals: Vitals
    trouble: Trouble
    seen: Callable[[Sequence[Job]], None] | None = None


class Dispatcher:
    """Fills the buffer.

    Args:
        line: what it works with.
        claim_batch: jobs in one claim, at most.
        poll_seconds: between looks without any sign of work.
        draining: tells whether nothing more may be claimed.
    """

    def __init__(self, line: Line, *, claim_batch: int, poll_seconds: float, draining: Callable[[], bool]) -> None:
        self._line = line
        self._claim_batch = claim_batch
        self._poll_seconds = poll_seconds
        self._draining = draining
        self.last_round = time.monotonic()
        self._target = 0
        self._starved = False
        self._refusals = 0
        self._disown_at = 0.0
        self._looked_at = 0.0
        self._look_cost = 0.0
        self._whole_look_at = 0.0
        self._looked_fully = False

    @property
    def longest_round(self) -> float:
        """Seconds that one round may take while nothing is wrong but the database: its time-outs bound it."""
        return LONGEST_ROUND_SECONDS

    async def run(self) -> None:
        """Dispatch until cancelled."""
        line = self._line
        while True:
            self.last_round = time.monotonic()
            if self._must_hold_back():
                await asyncio.sleep(HELD_BACK_SECONDS)
                continue
            woken = line.heartbeat.woken.is_set()
            line.heartbeat.woken.clear()
            try:
                await self._disown()
                claimed = await self._guess() if woken else 0
                claimed = claimed or await self._round()
            except DatabaseError as error:
                self._disown_at = 0.0
                await asyncio.sleep(line.trouble.met("claims", error))
                continue
            line.trouble.over("claims")
            if claimed >= BUSY_JOBS and line.heartbeat.announced:
                await line.heartbeat.withdraw_idle()
            if not claimed:
                await self._wait_for_work()

    def _must_hold_back(self) -> bool:
        line = self._line
        line.vitals.writing_stalled = line.acks.stalled
        line.vitals.relay_problem = line.relay.problem
        if not line.relay.is_open:
            line.settling.release(line.buffer.take_out(lambda _job: True))
            line.vitals.last_claim = time.monotonic()
        return self._draining() or line.acks.stalled or not line.heartbeat.holds or not line.relay.is_open

    async def _disown(self) -> None:
        """Now and then, and after each failure: let go what was claimed without this process hearing of it."""
        if time.monotonic() >= self._disown_at:
            disowned = await self._line.heartbeat.disown()
            self._disown_at = time.monotonic() + DISOWN_SECONDS
            if disowned:
                log.warning("jobs of a claim whose answer was lost run again", jobs=disowned)

    async def _guess(self) -> int:
        """Woken by an insert: most often it is where the last work was. Claim a little there while the tokens for it are
        leased, which spares a single mail a look and the time of a commit; how many jobs came. Raises DatabaseError.
        """
        line = self._line
        if not line.book.drained or len(line.buffer) or self._lacks_tokens():
            return 0
        line.book.revive()
        wishes = line.book.plan(GUESSED_JOBS, lambda _lane: GUESSED_JOBS)
        if not wishes:
            return 0
        self._fit_target()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._refresh_tokens(GUESSED_WORKERS))
                claimed = await self._claim(wishes, GUESSED_JOBS)
        except* DatabaseError as errors:
            raise errors.exceptions[0] from None
        line.buffer.nudge()
        await asyncio.sleep(0)  # the worker that was woken goes first; the next look can wait
        return claimed

    def _lacks_tokens(self) -> bool:
        """Whether the ledger has just given less than was asked for."""
        limiter = self._line.limiter
        return any(limiter.wait(key) > 0 for key in (*self._line.crew.keys(), *system_keys()))

    async def _round(self) -> int:
        """Claim once, if there is room and work; how many jobs came. Raises DatabaseError."""
        line = self._line
        self._fit_target()
        room, low = self._target - len(line.buffer), int(self._target * LOW_SHARE)
        if len(line.buffer) > low or line.buffer.size > MOST_BUFFERED:
            mark = low if line.buffer.size <= MOST_BUFFERED else 0
            await line.buffer.wait_until_low(mark, min(self._poll_seconds, line.limiter.renewal))
            await self._refresh_tokens()
            line.buffer.nudge()
            return 1
        await self._look()
        line.vitals.last_claim = time.monotonic()
        if line.book.drained and not len(line.buffer):
            return 0
        await self._refresh_tokens()
        if line.book.drained:  # the last jobs wait for their turn, and need tokens then
            line.buffer.nudge()
            return 0
        jobs = int(min(room, self._claim_batch, line.crew.tokens() - len(line.buffer), self._system_tokens()))
        if jobs <= 0:
            line.buffer.nudge()
            await self._wait_for_tokens()
            return 1
        wishes = line.book.plan(jobs, self._lane_tokens)
        if not wishes:
            await self._wait_for_tokens()
            return 1
        return await self._claim(wishes, jobs)

    async def _claim(self, wishes: Sequence[Wish], jobs: int) -> int:
        line = self._line
        daemon_id = line.heartbeat.daemon_id
        began = time.perf_counter()
        claimed = await line.claims.claim(wishes, daemon_id)
        self._starved = line.buffer.starved and len(claimed) == jobs  # while that claim was under way
        line.metrics.claimed(len(claimed), time.perf_counter() - began)
        line.book.learn(wishes, claimed)
        if daemon_id != line.heartbeat.daemon_id or not line.heartbeat.holds or self._draining():
            line.settling.release(claimed)
            return 0
        line.buffer.put(claimed)
        if line.seen is not None:
            line.seen(claimed)
        return len(claimed)

    async def _look(self) -> None:
        """Learn where the work is: fully where that is due, else beyond the known bounds only."""
        line = self._line
        now = time.monotonic()
        self._looked_fully = now >= self._next_full_look
        if self._looked_fully:
            whole = now >= self._whole_look_at
            await self._renew_book(whole=whole)
            self._looked_fully = whole and line.book.whole
            self._looked_at = now
        elif line.book.drained:
            line.book.revive()

    async def _renew_book(self, *, whole: bool) -> None:
        """Look at all that there is, or beyond the known bounds, where that is the cheaper. What lies before them waits for
        a whole look: retries, late commits, and what was taken back.

        A whole look that outlasts its time-out is not tried again soon: it must not keep the daemon from what it can see.
        Where the other look fails too, it was the database, and the next one is whole again.
        """
        line = self._line
        began = time.monotonic()
        try:
            if whole:
                heads = await line.claims.heads(line.book.beyond)
            else:
                heads = await line.claims.heads_beyond(line.book.bounds(), line.book.beyond)
        except DatabaseError:
            now = time.monotonic()
            self._whole_look_at = now + FAILED_LOOK_SECONDS if whole and now - began > SELDOM_SECONDS else 0.0
            raise
        cost = time.monotonic() - began
        if whole and cost / LOOK_SHARE > SELDOM_SECONDS:
            self._whole_look_at = time.monotonic() + cost / LOOK_SHARE
        else:
            self._look_cost = cost
        line.book.renew(heads)

    @property
    def _next_full_look(self) -> float:
        """When a full look is worth its cost again, in monotonic seconds."""
        return self._looked_at + max(SHORTEST_LOOK_SECONDS, self._look_cost / LOOK_SHARE)

    def _fit_target(self) -> None:
        """Size the buffer by what happens: longer while workers starve, shorter while jobs grow old in it."""
        line = self._line
        least = max(1, line.crew.windows)
        oldest = line.buffer.oldest_claim
        if self._starved:
            self._target *= 2
        elif oldest is not None and time.monotonic() - oldest > STALE_SECONDS:
            self._target //= 2
        self._target = max(least, min(self._target, self._claim_batch))

    async def _refresh_tokens(self, workers: int | None = None) -> None:
        """Lease tokens for what could be sent now, in one statement for all buckets; nothing where nothing is limited.

        Args:
            workers: for so many of them only.
        """
        line = self._line
        if line.limiter.renewal == math.inf:
            return
        keys = [*line.crew.keys(workers), *system_keys()]
        workspaces = {head.lane.workspace_id for head in line.book.due_heads(self._claim_batch)}
        for workspace in workspaces.union(line.buffer.workspaces()):
            keys += workspace_keys(workspace)
        await line.limiter.replenish({key: self._target for key in keys if line.limiter.runs_low(key, self._target)})

    async def _wait_for_tokens(self) -> None:
        line = self._line
        if len(line.buffer):  # what is in hand is promised to these
            await line.buffer.wait_until_low(0, HELD_BACK_SECONDS)
            return
        waits = [line.limiter.wait(*system_keys())]
        waits += [line.limiter.wait(key) for key in line.crew.keys()]  # noqa: SIM118 -- not a mapping
        soonest = min((wait for wait in waits if wait > 0), default=HELD_BACK_SECONDS)
        await asyncio.sleep(min(max(soonest, 0.01), self._poll_seconds))

    def _system_tokens(self) -> float:
        return self._line.limiter.available(*system_keys()) - len(self._line.buffer)

    def _lane_tokens(self, lane: Lane) -> float:
        workspace = lane.workspace_id
        return self._line.limiter.available(*workspace_keys(workspace)) - self._line.buffer.of(workspace)

    async def _wait_for_work(self) -> None:
        """Nothing is due: be woken, or look again when a job becomes due, or by polling."""
        line = self._line
        poll = self._poll_seconds
        if not line.heartbeat.announced:
            if await line.heartbeat.announce_idle():
                self._looked_at = 0.0  # what was inserted before the announcement is seen by one more look
                self._refusals = 0
                return
            poll = min(poll, REFUSED_SECONDS * 2**self._refusals)
            self._refusals = min(self._refusals + 1, MOST_REFUSALS)
        poll *= random.uniform(0.8, 1.2)  # noqa: S311 -- jitter, not a secret
        due = line.book.next_due()
        wait = min(poll, math.inf if due is None else due + 0.001)
        if not self._looked_fully:  # a new lane or a late commit may have been overlooked
            wait = min(wait, max(0.0, self._next_full_look - time.monotonic()))
        if len(line.buffer):
            wait = min(wait, line.limiter.renewal)
        try:
            async with asyncio.timeout(wait):
                await line.heartbeat.woken.wait()
        except TimeoutError:
            return
