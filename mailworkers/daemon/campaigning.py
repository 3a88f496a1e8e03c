"""A daemon's part in campaigns: jobs made ahead of the senders, starts, cancellations, ends, and what is held.

    look      which campaigns are open, soon after a change and now and then; those that are held are claimed no more
    work      jobs for those with room, ends for those that have come to theirs; one statement of some milliseconds after the other
    tell      listeners hear how far they are

All daemons do this. The database lets one at a time work at a campaign, and keeps the counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from mailworkers.campaigns.making import Made, Making, Open
from mailworkers.daemon.trouble import Trouble
from mailworkers.errors import DatabaseError, DatabaseRefused

LOOK_SECONDS: Final = 0.5  # a pause acts within a second, also where its notification cannot be heard
NONE_LOOK_SECONDS: Final = 2.0  # where there is none to pause: the notification of a new one is mostly heard
BUSY_LOOK_SECONDS: Final = 0.1  # while one runs: at 7,000 mails/s a tenth of its window ends meanwhile
SHORTEST_LOOK_SECONDS: Final = 0.02  # between two looks, whatever changes meanwhile
LOOK_SHARE: Final = 0.1  # thousands of campaigns make looks dear: then they are fewer
LONGEST_LOOK_SECONDS: Final = (
    2.0  # but no fewer than this: a look that took long may only have met a database in trouble
)
TELL_SECONDS: Final = 0.25
MOST_TOLD: Final = 200  # campaigns at once: where thousands run, each is told of less often
TELL_LAST_SECONDS: Final = 5.0  # the last words of those that have just ended or been paused
LEAST_WINDOW: Final = 200  # where many campaigns share the window
# Room for so many is worth a statement, or for a tenth of the window: but at most half of it, or senders might wait.
WORTH_JOBS: Final = 500
WORTH_SHARE: Final = 10
FIRST_CHUNK: Final = 1000  # leads
LEAST_CHUNK: Final = 100
MOST_CHUNK: Final = 20_000  # of leads most of which do not match
LONG_SECONDS: Final = 0.05  # a statement should not take longer: others wait for its commit's place in the log
SHORT_SECONDS: Final = 0.02
COUNTED_LEADS: Final = 5000  # in one statement; looked at without being made into anything
CANCELLED_JOBS: Final = 500  # in one statement
ROW_CLASSES: Final = (
    "22",
    "23",
)  # SQLSTATEs of data exceptions and violated constraints (PostgreSQL manual, appendix A)

log = structlog.get_logger(__name__)


class Campaigning:
    """Looks after the campaigns.

    Args:
        making: the statements.
        trouble: where failures show.
        changed: set where a campaign's state has changed.
        window: gives the jobs of a campaign that may be live at once, as the settings have it now.
        hold: told of all campaigns of which nothing may be claimed or begun.
    """

    def __init__(
        self,
        making: Making,
        trouble: Trouble,
        changed: asyncio.Event,
        *,
        window: Callable[[], int],
        hold: Callable[[frozenset[int]], None],
    ) -> None:
        self._making = making
        self._trouble = trouble
        self._changed = changed
        self._window = window
        self._hold = hold
        self._open: Sequence[Open] = ()
        self._looked = asyncio.Event()
        self._looked_once = False
        self._look_cost = 0.0
        self._last_busy = float("-inf")
        self._chunks: dict[int, int] = {}

    async def run(self) -> None:
        """Look, work and tell until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._trouble.keep_doing("campaigns", 0.0, self._look_when_due))
            loops.create_task(self._trouble.keep_doing("making campaigns", 0.0, self._work_when_looked, grave=False))
            loops.create_task(self._trouble.keep_doing("telling of campaigns", TELL_SECONDS, self.tell, grave=False))

    async def look(self) -> None:
        """Learn which campaigns are open, and hold those that must be. Raises DatabaseError."""
        self._changed.clear()
        began = time.monotonic()
        self._open = await self._making.open()
        now = time.monotonic()
        self._look_cost = now - began
        if self._busy:
            self._last_busy = now
        self._hold(frozenset(one.campaign_id for one in self._open if one.held))
        self._looked.set()

    async def work(self) -> bool:
        """Do what the last look showed; whether there is more to be done at once. Raises DatabaseError."""
        more = False
        failed: DatabaseError | None = None
        if any(one.status == "scheduled" for one in self._open):
            started = await self._making.start_due()
            self._changed.set()
            log.info("campaigns start", campaigns=started)
        running = [one for one in self._open if one.status == "running"]
        window = max(LEAST_WINDOW, self._window() // max(1, len(running)))
        # Whose senders would starve first comes first.
        for one in sorted(running, key=lambda one: one.live):
            try:
                made = await self._make(one, window)
            except DatabaseError as error:  # the others are made all the same
                failed = failed or error
                continue
            more |= made is not None and made.looked > 0 and (made.at_end or made.room >= _worth(one, window))
            if one.uncounted and not (one.at_end or (made is not None and made.at_end)):
                more |= not await self._making.count(one.campaign_id, COUNTED_LEADS)
        for one in self._open:
            if one.status == "cancelling":
                more |= await self._cancel(one)
            if one.live == 0 and (one.status == "cancelling" or (one.status == "running" and one.at_end)):
                await self._finish(one)
        self._chunks = {one.campaign_id: self._chunks.get(one.campaign_id, FIRST_CHUNK) for one in running}
        if failed is not None:
            raise failed
        return more

    async def tell(self) -> None:
        """Let listeners hear how far campaigns are, while one is at work and shortly after. Raises DatabaseError."""
        if time.monotonic() - self._last_busy < TELL_LAST_SECONDS:
            await self._making.tell(MOST_TOLD)

    @property
    def _busy(self) -> bool:
        """Whether one goes on by itself."""
        return any(one.status in ("running", "cancelling", "scheduled") for one in self._open)

    async def _look_when_due(self) -> None:
        """Wait, then look: what comes of the look is known at once."""
        if self._looked_once:
            usual = BUSY_LOOK_SECONDS if self._busy else LOOK_SECONDS if self._open else NONE_LOOK_SECONDS
            interval = max(usual, min(self._look_cost / LOOK_SHARE, LONGEST_LOOK_SECONDS))
            await asyncio.sleep(SHORTEST_LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval - SHORTEST_LOOK_SECONDS):
                    await self._changed.wait()
        await self.look()
        self._looked_once = True

    async def _work_when_looked(self) -> None:
        await self._looked.wait()
        self._looked.clear()
        if await self.work():
            self._changed.set()

    async def _make(self, one: Open, window: int) -> Made | None:
        """The next jobs of one, where there is room that is worth a statement."""
        if one.at_end or _bound(one, window) - one.live < _worth(one, window):
            return None
        chunk = self._chunks.get(one.campaign_id, FIRST_CHUNK)
        began = time.monotonic()
        try:
            made = await self._making.make(one.campaign_id, chunk, window)
        except DatabaseError as refusal:
            self._chunks[one.campaign_id] = max(LEAST_CHUNK, chunk // 2)  # it may have taken too long
            if not (isinstance(refusal, DatabaseRefused) and _is_about_rows(refusal)):
                raise
            log.error("campaign stopped: its jobs cannot be made", campaign=one.campaign_id, problem=refusal.message)  # noqa: TRY400
            await self._making.stop(one.campaign_id, refusal.message)
            return None
        self._chunks[one.campaign_id] = _next_chunk(chunk, made, time.monotonic() - began)
        return made

    async def _cancel(self, one: Open) -> bool:
        return await self._making.cancel_jobs(one.campaign_id, CANCELLED_JOBS) == CANCELLED_JOBS

    async def _finish(self, one: Open) -> None:
        if await self._making.finish(one.campaign_id):
            log.info("campaign ended", campaign=one.campaign_id, cancelled=one.status == "cancelling")


def _bound(one: Open, window: int) -> int:
    """Jobs that may be live."""
    return min(window, one.window or window)


def _worth(one: Open, window: int) -> int:
    """Room for so many is worth a statement."""
    bound = _bound(one, window)
    return max(bound // WORTH_SHARE, min(bound // 2, WORTH_JOBS), 1)


def _is_about_rows(refusal: DatabaseRefused) -> bool:
    """Whether it was a row that the database refused: trying again would refuse it again, and keep other campaigns waiting."""
    return (getattr(refusal.__cause__, "sqlstate", None) or "")[:2] in ROW_CLASSES


def _next_chunk(chunk: int, made: Made, seconds: float) -> int:
    """As many leads as a statement can look at in its time."""
    if seconds > LONG_SECONDS:
        return max(LEAST_CHUNK, chunk // 2)
    if seconds < SHORT_SECONDS and made.looked >= chunk:
        return min(MOST_CHUNK, chunk * 2)
    return chunk
