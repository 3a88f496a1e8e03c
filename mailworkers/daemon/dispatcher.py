"""The dispatcher: claims what workers and rate limits can use now, and sleeps until there is more.

It is one loop: hold back where it must; look where the work is; claim; hand over; and when nothing is due, ask to be
woken and wait for a notification, for the next scheduled job, or for the next poll, whichever is first.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from mailworkers.daemon.line import Line
from mailworkers.daemon.looking import Looking
from mailworkers.daemon.provision import Provision
from mailworkers.errors import DatabaseError
from mailworkers.limits import BucketKey
from mailworkers.queue.claim import Wish
from mailworkers.queue.states import Job, Lane

HELD_BACK_SECONDS = 0.1  # how often to ask whether claiming is allowed again
SHORTEST_WAIT_SECONDS = 0.01  # for tokens: to ask more often would cost more than it brings
LOW_SHARE = 0.5  # the buffer is filled again when half of it is gone: a claim's time passes meanwhile
STALE_SECONDS = 0.2  # jobs that waited longer in the buffer show that it is too long for the rate
# A daemon that has not claimed for so long is not busy: it asks to be woken, since what comes may go before what it has.
# One that claims more often sees that with its claims, and inserts are spared their notifications.
BUSY_SECONDS = 0.05
# Between claims that are large, a busy one asks so often where more urgent mail came from less than so long ago.
ASK_SECONDS = 0.015
URGENT_SECONDS = 10.0
# Where inserts wake in vain so often a second, as when their lane has no tokens, they are spared that for a second.
MOST_VAIN_WAKES = 20
VAIN_SECONDS = 1.0
SPECIAL_SECONDS = 0.5  # how often to ask which workspaces are paused or have a weight of their own
# An insert under way keeps the announcement back. Most commit within milliseconds; a long one is waited for by polling.
REFUSED_SECONDS = 0.01
MOST_REFUSALS = 12
# Jobs of so many claims may wait in memory at once, where each time more urgent ones came than those that wait.
MOST_LINES = 4
# Characters of content that wait in memory: large mails make the buffer short, whatever their number.
MOST_BUFFERED = 32 * 1024 * 1024
# A claim may commit after its connection was given up: what came of that is looked for so often.
DISOWN_SECONDS = 10.0
# A round with a frozen database: some calls, each ended by its time-out. Beyond that, the loop itself is stuck.
LONGEST_ROUND_SECONDS = 60.0
# Jobs that a guess may claim: an insert that woke an idle daemon is mostly one, and tokens for it are only being leased.
GUESSED_JOBS = 10
AFTER_GUESS_SECONDS = 0.005  # for a single mail to leave, before this process looks whether there are more
GUESSED_WORKERS = 2  # that get tokens for them: to ask for all would take longer than the claim
# With claims of this size there is always more: inserts are spared their notifications.
BUSY_JOBS = 50

log = structlog.get_logger(__name__)


class Dispatcher:
    """Fills the buffer.

    Args:
        line: what it works with.
        claim_batch: jobs in one claim, at most.
        poll_seconds: between looks without any sign of work.
        job_deadline: seconds from the claim to when a job is nobody's any more.
        draining: tells whether nothing more may be claimed.
    """

    def __init__(
        self,
        line: Line,
        *,
        claim_batch: int,
        poll_seconds: float,
        job_deadline: float,
        draining: Callable[[], bool],
    ) -> None:
        self._line = line
        self._claim_batch = claim_batch
        self._poll_seconds = poll_seconds
        self._longest_stay = job_deadline / 2
        self._draining = draining
        self._looking = Looking(line.claims, line.book)
        self._provision = Provision(line.limiter, line.crew, line.book, line.buffer)
        self.last_round = time.monotonic()
        self._target = 0
        self._starved = False
        self._refusals = 0
        self._disown_at = 0.0
        self._special_at = 0.0
        self._claimed_at = 0.0
        self._urgent_at, self._announce_at = -URGENT_SECONDS, 0.0
        self._vain_wakes = 0
        self._vain_since = 0.0

    @property
    def longest_round(self) -> float:
        """Seconds that one round may take while nothing is wrong but the database."""
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
                claimed = await self._guess() if woken and line.heartbeat.announced else 0
                if not claimed:
                    await self._tidy()
                    claimed = await self._round()
            except DatabaseError as error:
                self._disown_at = 0.0
                await asyncio.sleep(line.trouble.met("claims", error))
                continue
            line.trouble.over("claims")
            if claimed:
                self._claimed_at = time.monotonic()
            if line.heartbeat.announced and (claimed >= BUSY_JOBS or self._woken_in_vain(woken and not claimed)):
                await line.heartbeat.withdraw_idle()
            if not claimed:
                await self._wait()

    # ------------------------------------------------------------ a round

    def _must_hold_back(self) -> bool:
        line = self._line
        line.vitals.writing_stalled = line.acks.stalled
        line.vitals.relay_problem = line.relay.problem
        if not line.relay.is_open:
            line.settling.release(line.buffer.take_out(lambda _job: True))
            line.vitals.last_claim = time.monotonic()
        return self._draining() or line.acks.stalled or not line.heartbeat.holds or not line.relay.is_open

    async def _tidy(self) -> None:
        """Now and then: let go what was claimed without this process hearing of it, also after each failure; and what is not
        its turn for so long that its claim would end, behind more urgent mail. And see whom to treat specially."""
        line, now = self._line, time.monotonic()
        if now >= self._disown_at:
            disowned = await line.heartbeat.disown()
            self._disown_at = time.monotonic() + DISOWN_SECONDS
            if disowned:
                log.warning("jobs of a claim whose answer was lost run again", jobs=disowned)
            line.settling.release(line.buffer.take_out(lambda job: now - job.claimed > self._longest_stay))
        if now >= self._special_at:
            special = await line.claims.special_workspaces()
            self._special_at = now + SPECIAL_SECONDS
            paused = {one.workspace_id for one in special if one.paused}
            line.book.treat({one.workspace_id: one.weight for one in special}, paused)
            if paused.intersection(line.buffer.workspaces()):
                line.settling.release(line.buffer.take_out(lambda job: job.lane.workspace_id in paused))

    async def _guess(self) -> int:
        """Woken by an insert: most often it is where the last work was. Claim a little there while the tokens for it are
        leased, which spares a single mail a look and the time of a commit; how many jobs came. Raises DatabaseError.
        """
        line = self._line
        if self._provision.lacks():
            return 0
        wishes = line.book.probe(GUESSED_JOBS, self._may_have_some)
        if not wishes:
            return 0
        self._fit_target()
        claimed = await self._claim(wishes, wishes, {})
        line.buffer.nudge()
        await self._woken(0.0 if len(claimed) >= GUESSED_JOBS else AFTER_GUESS_SECONDS)
        return len(claimed)

    async def _round(self) -> int:
        """Claim once, if there is room and work; how many jobs came. Raises DatabaseError."""
        line = self._line
        self._fit_target()
        await self._looking.look()
        line.vitals.last_claim = time.monotonic()
        wanted = {}
        if not line.book.drained or len(line.buffer):  # the last jobs wait for their turn, and need tokens then
            wanted = self._provision.lacking(self._target, self._claim_batch)
            line.buffer.nudge()
        if not self._provision.suffices(self._target, wanted):
            await self._provision.lease(wanted)
            wanted = {}
        wishes, guessed = self._wishes()
        if not (wishes or guessed):
            await self._provision.lease(wanted)
            self._rest_without_tokens()
            return 0
        claimed = await self._claim([*guessed, *wishes], guessed, wanted)
        due = line.book.due_priorities()
        if due and any(job.row["priority"] < due[-1] and job.row["priority"] not in due for job in claimed):
            self._urgent_at = time.monotonic()
        return len(claimed)

    def _wishes(self) -> tuple[list[Wish], list[Wish]]:
        """What is claimed of what is known to be due, and what beside it, where more urgent mail came from before: it is there
        before a look would see it."""
        book = self._line.book
        wishes = book.plan(self._room(), self._lane_tokens, self._provision.of_workspace, self._provision.of_group)
        if wishes:
            worst = max(wish.priority for wish in wishes)
        elif self._is_urgent() and (due := book.due_priorities()) and not self._is_full():
            worst = due[-1]
        else:
            return [], []
        return wishes, book.probe(GUESSED_JOBS, self._may_have_some, better_than=worst)

    def _is_urgent(self) -> bool:
        return time.monotonic() - self._urgent_at < URGENT_SECONDS

    async def _claim(
        self, wishes: Sequence[Wish], guessed: Sequence[Wish], wanted: Mapping[BucketKey, int]
    ) -> Sequence[Job]:
        """Claim, and lease meanwhile what is `wanted` for the next claim, and what those mails need that were `guessed`."""
        line = self._line
        daemon_id = line.heartbeat.daemon_id
        began = time.perf_counter()
        if guessed:
            workspaces = {wish.lane.workspace_id for wish in guessed}
            wanted = {**self._provision.lacking(self._target, self._claim_batch, GUESSED_WORKERS, workspaces), **wanted}
        if wanted:
            try:
                async with asyncio.TaskGroup() as both:
                    claim = both.create_task(line.claims.claim(wishes, daemon_id))
                    await self._provision.lease(wanted)
                    claimed = await claim
            except* DatabaseError as errors:
                raise errors.exceptions[0] from None
        else:
            claimed = await line.claims.claim(wishes, daemon_id)
        took = time.perf_counter() - began
        line.metrics.claimed(len(claimed), took)
        line.pacing.load.claims.add(took)
        line.book.learn(wishes, claimed)
        line.pacing.claimed(claimed)
        if not claimed and len(wishes) == len(guessed):
            return ()
        # While that claim was under way.
        self._starved = line.buffer.starved and len(claimed) >= min(self._target, sum(wish.take for wish in wishes))
        if daemon_id != line.heartbeat.daemon_id or not line.heartbeat.holds or self._draining():
            line.settling.release(claimed)
            return ()
        line.buffer.put(claimed)
        if line.seen is not None:
            line.seen(claimed)
        return claimed

    # ------------------------------------------------------------ how much

    def _fit_target(self) -> None:
        """Size the buffer by what happens: longer while workers starve, shorter while jobs grow old in it."""
        line = self._line
        least = max(1, line.crew.windows)
        oldest = line.buffer.oldest_claim
        if self._starved:
            self._target *= 2
            self._starved = False
        elif oldest is not None and time.monotonic() - oldest > STALE_SECONDS:
            self._target //= 2
        self._target = max(least, min(self._target, self._claim_batch))

    def _room(self) -> Callable[[int], float]:
        """For how many jobs of a priority there is room: none while more than half of the buffer goes before them."""
        line = self._line
        tokens = min(self._provision.common(), self._claim_batch)
        at_once = line.pacing.room_for_all()
        low, size, count = int(self._target * LOW_SHARE), line.buffer.size, len(line.buffer)

        def room(priority: int) -> float:
            ahead = line.buffer.ahead(priority)
            if ahead > low or count > MOST_LINES * self._claim_batch:
                return 0
            if size > MOST_BUFFERED and (ahead or size > 2 * MOST_BUFFERED):
                return 0
            return min(min(self._target, tokens) - ahead, at_once)

        return room

    def _is_full(self) -> bool:
        buffer = self._line.buffer
        return buffer.size > MOST_BUFFERED or len(buffer) > MOST_LINES * self._claim_batch

    def _lane_tokens(self, lane: Lane) -> float:
        return min(self._line.pacing.room(lane), self._provision.of_lane(lane))

    def _rest_without_tokens(self) -> None:
        """Lanes whose limits have just nothing left rest until they have: meanwhile they keep nobody from being woken for others."""
        line = self._line
        if line.limiter.renewal < math.inf:
            for lane in set(line.book.due_lanes(self._claim_batch)):
                wait = self._provision.lane_wait(lane)
                if wait > 0:
                    line.pacing.lacks_tokens(lane, wait)

    def _may_have_some(self, lane: Lane) -> bool:
        """Whether the ledger has not just refused this lane more, and what was learned of it allows as much."""
        return self._line.pacing.room(lane) >= GUESSED_JOBS and self._provision.lane_wait(lane) <= 0

    # ------------------------------------------------------------ nothing to claim now

    async def _wait(self) -> None:
        """Be woken by an insert or by a buffer that runs low; or go on when something becomes due, when tokens come, or by
        polling. What is held, rests or lacks tokens keeps nobody from being woken for the rest."""
        line, now = self._line, time.monotonic()
        line.buffer.tell_when_low(self._low_mark(), line.heartbeat.woken)
        waits = [self._poll_seconds * random.uniform(0.8, 1.2), self._until_asked()]  # noqa: S311 -- jitter, not a secret
        if not line.heartbeat.announced:
            until = await self._announce(now)
            if until is None:
                return
            waits.append(until)
        due = line.book.next_due()
        if due is not None:
            waits.append(due + 0.001)
        if not self._looking.fully and (
            line.heartbeat.announced or line.book.drained
        ):  # a new lane or a late commit may have been overlooked
            waits.append(max(0.0, self._looking.next_at - now))
        if not line.book.drained:
            waits.append(self._soonest_tokens())
        if len(line.buffer):
            waits.append(line.limiter.renewal)
        if line.book.pauses:
            waits.append(SPECIAL_SECONDS)
        await self._woken(min(waits))

    async def _woken(self, seconds: float) -> None:
        """Until woken, for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._line.heartbeat.woken.wait()
        except TimeoutError:
            return

    async def _announce(self, now: float) -> float | None:
        """Ask to be woken, if it is time to: None where that is so now, else for how many seconds it is not."""
        line = self._line
        busy = self._claimed_at + BUSY_SECONDS if not line.book.drained or len(line.buffer) else 0.0
        vain = self._vain_since + VAIN_SECONDS if self._vain_wakes >= MOST_VAIN_WAKES else 0.0
        if now < max(busy, vain):
            return max(BUSY_SECONDS, self._looking.next_at - now)
        if now < self._announce_at:
            return self._announce_at - now
        if await line.heartbeat.announce_idle():
            self._looking.again()  # what was inserted before the announcement is seen by one more look
            self._refusals = 0
            return None
        wait = REFUSED_SECONDS * 2.0**self._refusals
        self._announce_at = now + wait
        self._refusals = min(self._refusals + 1, MOST_REFUSALS)
        return wait

    def _until_asked(self) -> float:
        """Seconds until more urgent mail than what is at hand is asked for; an announced daemon is told."""
        idle = self._line.heartbeat.announced or (self._line.book.drained and not len(self._line.buffer))
        return ASK_SECONDS if self._is_urgent() and not idle else math.inf

    def _low_mark(self) -> int:
        """With how many jobs left in the buffer there is room for the most urgent of those that wait outside; -1: it has."""
        line = self._line
        if line.buffer.size > MOST_BUFFERED:
            return 0
        due = line.book.due_priorities()
        ahead = line.buffer.ahead(due[0]) if due else 0
        low = int(self._target * LOW_SHARE)
        return len(line.buffer) - (ahead - low if ahead > low else ahead) if ahead else -1

    def _soonest_tokens(self) -> float:
        """Seconds until there may be tokens for what is due."""
        line = self._line
        relay = line.pacing.wait()
        if relay > 0:
            return max(relay, SHORTEST_WAIT_SECONDS)
        if line.limiter.renewal == math.inf:
            return math.inf
        if len(line.buffer):  # what is in hand is promised to these
            return HELD_BACK_SECONDS
        wait = self._provision.wait(self._claim_batch)
        return max(HELD_BACK_SECONDS if wait == math.inf else wait, SHORTEST_WAIT_SECONDS)

    def _woken_in_vain(self, vain: bool) -> bool:
        """Whether that happens too often just now."""
        now = time.monotonic()
        if now - self._vain_since > VAIN_SECONDS:
            self._vain_since, self._vain_wakes = now, 0
        self._vain_wakes += vain
        return self._vain_wakes >= MOST_VAIN_WAKES
