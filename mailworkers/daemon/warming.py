"""Asked once before each mail while any sender is being warmed up: may it begin today, and if not, when?

A mail that has to wait spends no attempt and is tried tomorrow, somewhere in the first hour; a campaign's mails that are not
claimed yet are left where they are until then. Mails without a campaign go out all the same, and count, unless the
warm-up holds all. While a warm-up is paused or halted, what it holds is looked at again every `HELD_SECONDS`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import structlog

from mailworkers.daemon.vitals import Vitals
from mailworkers.errors import DatabaseError
from mailworkers.queue.states import Job, Lane, Snooze
from mailworkers.replies import Accepted, Broken, Deferred, Outcome, Rejected, RelayDown, Throttled
from mailworkers.warming.day import HOLD_SECONDS, Day, DayKey, lease_size
from mailworkers.warming.ledger import Ledger
from mailworkers.warming.senders import ALL_OTHERS, Quota, Senders, WarmUp

ROUND_SECONDS = 0.9  # between two looks at the ledger: a pause or a start is kept to within a second
SPREAD_SECONDS = 3600.0  # over which tomorrow's first mails are spread: mailbox providers dislike a burst at midnight
HELD_SECONDS = 600.0  # between two looks at a mail whose warm-up waits for a person: what is resumed goes on soon
NOT_NOW_SECONDS = 10.0  # the ledger could not be asked
WARNING = "warm_up"  # the name of the health check

log = structlog.get_logger(__name__)


Kind = tuple[int, str]  # a warm-up, and which of its quotas


class Warming:
    """The warm-ups as one daemon knows them.

    Args:
        ledger: theirs.
        sender: gives the address of rows that name none.
        rest_front: told to claim nothing of a campaign in a lane until a monotonic time, and why; a time that has passed ends it.
        vitals: told of warm-ups that were halted.
        clock: local and monotonic, in seconds. Which day it is, only the ledger says.
    """

    def __init__(
        self,
        ledger: Ledger,
        sender: Callable[[], str],
        rest_front: Callable[[Lane, int, float, str], None],
        vitals: Vitals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.active = False  # whether any mail has to be asked for
        self._ledger = ledger
        self._sender = sender
        self._rest_front = rest_front
        self._vitals = vitals
        self._clock = clock
        self._senders = Senders()
        self._days: dict[DayKey, Day] = {}
        self._today: dict[Kind, Day] = {}
        self._used_up: set[Kind] = set()
        self._resting: dict[tuple[Lane, int], DayKey] = {}
        self._begun: dict[int, tuple[Day, bool]] = {}  # by job: which day's mail it is, and whether it was charged
        self._leasing: defaultdict[Kind, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._refused: set[int] = set()
        self._known: list[WarmUp] = []

    async def admit(self, job: Job) -> Snooze | None:
        """None where the mail may begin, which is counted from here on; else what is to become of it.

        `unused` or `settled` must follow for each that may begin.
        """
        warm_up = self._senders.warm_up_of(job.row["from_email"] or self._sender())
        if warm_up is None:
            return None
        quota = warm_up.quota_of(job.lane.destination_group)
        day = self._day(warm_up, quota)
        if not warm_up.held and day.take(self._clock()):
            self._begun[job.id] = (day, False)
            return None
        if job.row["campaign_id"] is None and not warm_up.hold_all:
            day.charge()
            self._begun[job.id] = (day, True)
            return None
        return await self._admit_held(job, warm_up, quota)

    def unused(self, job: Job) -> None:
        """A mail that might have begun did not."""
        day, charged = self._begun.pop(job.id, (None, False))
        if day is not None:
            day.not_sent(self._clock(), charged=charged)

    def settled(self, job: Job, outcome: Outcome) -> None:
        """What became of a mail that had begun. One whose end is unknown counts as sent."""
        day, charged = self._begun.pop(job.id, (None, False))
        if day is None:
            return
        match outcome:
            case Accepted():
                day.sent()
            case Rejected(policy=True) | Rejected(hard_bounce=True):
                day.refused()
                self._refused.add(day.key.warmup_id)
            case Throttled() | Deferred() | Broken() | RelayDown():
                day.not_sent(self._clock(), charged=charged)

    async def round(self) -> None:
        """Tell the ledger what happened, and learn how the warm-ups stand. Raises DatabaseError."""
        await self._tell()
        if self._refused:
            refused, self._refused = self._refused, set()
            for sender, why in await self._ledger.judge(sorted(refused)):
                log.warning("a warm-up halted itself", sender=sender, why=why)
        self._renew(await self._ledger.current())
        if any(warm_up.over for warm_up in self._known):
            for sender in await self._ledger.finish():
                log.info("a warm-up is finished", sender=sender)

    async def close(self) -> None:
        """Hand back what is not used. Where the database cannot be reached, it counts as used."""
        try:
            await self._tell(everything=True)
        except DatabaseError:
            return

    def _day(self, warm_up: WarmUp, quota: Quota) -> Day:
        kind = (warm_up.id, quota.destination_group)
        day = self._today.get(kind)
        if day is None:
            day = self._today[kind] = self._on(DayKey(warm_up.id, warm_up.on_date, quota.destination_group))
        return day

    def _on(self, key: DayKey) -> Day:
        return self._days.setdefault(key, Day(key))

    async def _admit_held(self, job: Job, warm_up: WarmUp, quota: Quota) -> Snooze | None:
        if warm_up.held:
            return self._waits(job, warm_up, quota, HELD_SECONDS * random.uniform(0.5, 1), _held(warm_up))  # noqa: S311 -- jitter
        try:
            day = await self._leased(warm_up, quota)
        except DatabaseError as trouble:
            return Snooze(job, NOT_NOW_SECONDS, str(trouble), ours=True)
        if day is not None:
            self._begun[job.id] = (day, False)
            return None
        delay = warm_up.seconds_left + random.uniform(0, SPREAD_SECONDS)  # noqa: S311 -- jitter
        return self._waits(job, warm_up, quota, delay, _used_up(warm_up, quota))

    async def _leased(self, warm_up: WarmUp, quota: Quota) -> Day | None:
        """The day that a mail was taken of; None where nothing is left of it. One lease at a time serves all who wait for it."""
        kind = (warm_up.id, quota.destination_group)
        async with self._leasing[kind]:
            day = self._day(warm_up, quota)
            if day.take(self._clock()):
                return day
            if kind in self._used_up:
                return None
            asked_at = self._clock()
            grant = await self._ledger.lease(*kind, lease_size(quota.quota))
            if grant is None or not grant.given:
                self._used_up.add(kind)
                return None
            day = self._today[kind] = self._on(grant.key)
            day.receive(grant.given, asked_at + min(grant.seconds_left, HOLD_SECONDS))
            return day if day.take(self._clock()) else None

    def _waits(self, job: Job, warm_up: WarmUp, quota: Quota, delay: float, why: str) -> Snooze:
        """It waits, and with it those of its front that are not claimed yet."""
        campaign = job.row["campaign"]
        if campaign:  # one that is made here has one sender; what applications group by themselves may have several
            self._resting[job.lane, campaign] = DayKey(warm_up.id, warm_up.on_date, quota.destination_group)
            self._rest_front(job.lane, campaign, self._clock() + delay, why)
        return Snooze(job, delay, why, ours=True)

    async def _tell(self, *, everything: bool = False) -> None:
        now = self._clock()
        accounts = [account for day in self._days.values() if (account := day.settle(now, everything=everything))]
        if not accounts:
            return
        try:
            await self._ledger.settle(accounts)
        except DatabaseError:
            for account in accounts:
                self._days[account.key].not_told(account)
            raise

    def _renew(self, warm_ups: list[WarmUp]) -> None:
        self._known = warm_ups
        self._vitals.warm_ups = sum(not warm_up.over for warm_up in warm_ups)
        self._senders.renew(warm_ups)
        self.active = bool(self._senders) or bool(self._begun)
        open_now = {
            (warm_up.id, quota.destination_group): quota.available > 0 and not warm_up.held
            for warm_up in self._senders
            for quota in warm_up.quotas.values()
        }
        self._used_up = {kind for kind, is_open in open_now.items() if not is_open}
        self._today = {
            kind: day
            for warm_up in self._senders
            for kind, day in self._today.items()
            if kind[0] == warm_up.id and day.key.on_date == warm_up.on_date
        }
        kept = {id(day) for day, _ in self._begun.values()} | {id(day) for day in self._today.values()}
        self._days = {key: day for key, day in self._days.items() if id(day) in kept or not day.is_settled}
        self._end_rests(open_now)
        self._warn(warm_ups)

    def _end_rests(self, open_now: Mapping[Kind, bool]) -> None:
        """End those whose reason is gone: somebody resumed or stopped the warm-up, or raised its quota. A new day ends none: each
        then lasts until its own moment of the first hour."""
        dates = {warm_up.id: warm_up.on_date for warm_up in self._senders}
        for front, day in list(self._resting.items()):
            if dates.get(day.warmup_id, day.on_date) != day.on_date:
                del self._resting[front]
            elif open_now.get((day.warmup_id, day.destination_group), True):
                del self._resting[front]
                self._rest_front(*front, 0.0, "")

    def _warn(self, warm_ups: list[WarmUp]) -> None:
        halted = [_held(warm_up) for warm_up in warm_ups if warm_up.status == "halted"]
        if halted:
            self._vitals.warnings[WARNING] = "; ".join(halted)
        else:
            self._vitals.warnings.pop(WARNING, None)


def _held(warm_up: WarmUp) -> str:
    reason = f" ({warm_up.why})" if warm_up.why else ""
    return (
        f"the warm-up of {warm_up.sender} is {warm_up.status}{reason}: its mails wait for "
        f"`mailworkers warmup resume {warm_up.sender}`"
    )


def _used_up(warm_up: WarmUp, quota: Quota) -> str:
    if warm_up.day < 1:
        return f"the warm-up of {warm_up.sender} has not begun: day 1 is in {1 - warm_up.day} days"
    where = "" if quota.destination_group == ALL_OTHERS else f" to {quota.destination_group}"
    return f"the warm-up of {warm_up.sender} has used the {quota.quota:,} mails{where} of day {warm_up.day}: it goes on tomorrow"
