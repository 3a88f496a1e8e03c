"""The daemon's standing: its session, its lease, and the right to begin mails that hangs on both.

open session ──▶ register ──▶ take the lock ──▶ renew … renew … renew
     ▲                                                │
     └────────── session lost, or lease ended ◀───────┘   (a new lease each time; the old jobs are not ours)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mailworkers.daemon.trouble import Trouble
from mailworkers.daemon.vitals import Vitals
from mailworkers.errors import DatabaseError, DatabaseUnavailable
from mailworkers.queue.leases import LeaseClock, Leases, Registration, WorkerRow, lease_time
from mailworkers.queue.presence import Presence
from mailworkers.settings import Settings

# A renewal that failed is tried again so often while the lease still holds.
RETRY_SECONDS = 1.0
# A session may be dead without a sign (a pulled cable): it is asked so often.
CHECK_SECONDS = 5.0
# Between two tries to come back; well below the time after which others are sure that this daemon is dead.
LONGEST_ABSENCE_SECONDS = 0.5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wards:
    """The work that hangs on a daemon's standing.

    `rows` gives the workers' rows that go with each renewal, `held` the ids of all jobs that this process still answers
    for; `on_lost` is called when jobs that were claimed but not begun must be forgotten.
    """

    rows: Callable[[], Sequence[WorkerRow]]
    held: Callable[[], Sequence[int]]
    on_lost: Callable[[], None]


class Heartbeat:
    """Keeps the standing, and makes a new one when it is lost.

    Args:
        settings: lease, heartbeat, names.
        dsn: the database.
        leases: its statements.
        vitals, trouble: where its state shows.
        wards: the work that hangs on it.
    """

    def __init__(
        self,
        settings: Settings,
        dsn: str,
        leases: Leases,
        vitals: Vitals,
        trouble: Trouble,
        wards: Wards,
    ) -> None:
        self.woken = asyncio.Event()
        self.campaigns_changed = asyncio.Event()
        self.limits_changed = asyncio.Event()
        self.established = asyncio.Event()
        self.registration: Registration | None = None
        self._settings = settings
        self._dsn = dsn
        self._leases = leases
        self._vitals = vitals
        self._trouble = trouble
        self._wards = wards
        self._presence: Presence | None = None
        self._answered: list[int] = []  # leases under which jobs may stand that this process still answers for
        self._clock = LeaseClock(settings.lease_seconds)
        self._since = 0.0

    @property
    def holds(self) -> bool:
        """Whether mails may be begun: the lease holds and the session, where there is one, is there."""
        return self.established.is_set() and self._clock.holds

    @property
    def daemon_id(self) -> int:
        """The number of the present lease; 0 where there has been none."""
        return self.registration.daemon_id if self.registration else 0

    @property
    def own_leases(self) -> Sequence[int]:
        """The present lease, and lost ones whose jobs this process still answers for: it does not take itself for dead."""
        return self._answered

    async def establish(self) -> None:
        """Open the session, begin a lease, prove life.

        Raises:
            DatabaseUnavailable, DatabaseRefused: it did not come about; nothing is held.
        """
        await self._leave()
        asked = lease_time()
        self._presence = await Presence.open(
            self._settings, self._dsn, self.woken, self.campaigns_changed, self.limits_changed
        )
        self.registration = await self._leases.register()
        before = self._answered.copy()
        self._answered.append(self.daemon_id)  # whatever breaks off below may have happened all the same
        if await self._presence.prove(self.daemon_id):
            await self._leases.vouch(self.daemon_id)
        if before:
            await self._leases.adopt(self.daemon_id, before, self._wards.held())
        self._answered = [self.daemon_id]
        self._clock.renewed(asked)
        self._since = time.monotonic()
        self._vitals.daemon_id = self.daemon_id
        self._vitals.liveness_lost = False
        self._vitals.last_heartbeat = time.monotonic()
        self.established.set()
        log.info(
            "lease begun", daemon=self.daemon_id, ordinal=self.registration.ordinal, session=self._presence.sessions
        )

    async def run(self) -> None:
        """Keep the standing until cancelled."""
        while True:
            if not self.established.is_set():
                await self._establish_again()
            await self._keep()
            self._lose()

    async def disown(self) -> int:
        """Release jobs that stand under this lease without this process knowing of them, as after a claim whose answer was
        lost; how many. To be called only while no claim is under way. Raises DatabaseError."""
        return await self._leases.disown(self.daemon_id, self._wards.held())

    async def announce_idle(self) -> bool:
        """Ask to be woken by inserts; whether that is so now."""
        try:
            return self._presence is not None and await self._presence.announce_idle()
        except DatabaseUnavailable:
            return False

    async def withdraw_idle(self) -> None:
        """Spare inserts the notification."""
        try:
            if self._presence is not None:
                await self._presence.withdraw_idle()
        except DatabaseUnavailable:
            return

    @property
    def announced(self) -> bool:
        """Whether an insert now would wake this daemon."""
        return self._presence is not None and self._presence.announced

    def moved(self) -> None:
        """The server became read-only: its session proves nothing any more, where another one is written to."""
        if self._presence is not None:
            self._presence.lost.set()

    def doubt(self, claimed: float) -> None:
        """A result came too late for its lease, so others took this daemon for dead and nothing had told it, as after a pause of the
        whole machine that no clock shows: what it still holds may be theirs. It stands down at once and begins anew.

        Args:
            claimed: when the job was, by the monotonic clock. Under an earlier lease than this one, it tells nothing new.
        """
        if self._presence is not None and self.established.is_set() and claimed > self._since:
            self._presence.lost.set()

    async def end(self, why: str) -> None:
        """Give the lease back and close the session, at the daemon's end."""
        if self.registration is not None and self.established.is_set():
            try:
                await self._leases.end_own(self.daemon_id, why)
            except DatabaseError as error:
                log.warning("the lease could not be given back; it runs out by itself", problem=str(error))
        self.established.clear()
        self._clock.end()
        await self._leave()

    async def _establish_again(self) -> None:
        while True:
            try:
                await self.establish()
            except DatabaseError as error:
                # Not as patient as other loops: until there is a lease, others may take this daemon for dead.
                await asyncio.sleep(min(self._trouble.met("lease", error), LONGEST_ABSENCE_SECONDS))
            else:
                self._trouble.over("lease")
                return

    async def _keep(self) -> None:
        """Renew and check until the standing is lost."""
        presence = self._presence
        assert presence is not None
        next_beat = time.monotonic() + RETRY_SECONDS  # the first soon, since it makes the workers' rows
        while self._clock.holds:
            wait = min(next_beat - time.monotonic(), CHECK_SECONDS)
            if await _within(presence.lost, max(0.0, wait)):
                return
            try:
                if time.monotonic() >= next_beat:
                    if not await self._renew():
                        return
                    next_beat = time.monotonic() + self._settings.heartbeat_seconds
                else:
                    await presence.check()
            except DatabaseError as error:
                self._trouble.met("lease", error)
                next_beat = time.monotonic() + RETRY_SECONDS
            else:
                self._trouble.over("lease")

    async def _renew(self) -> bool:
        asked = lease_time()
        if not await self._leases.renew(self.daemon_id, self._wards.rows()):
            return False
        self._clock.renewed(asked)
        self._vitals.last_heartbeat = time.monotonic()
        return True

    def _lose(self) -> None:
        log.warning("lease lost: no mail is begun until there is a new one", daemon=self.daemon_id)
        self.established.clear()
        self._clock.end()
        self._vitals.liveness_lost = True
        self._wards.on_lost()

    async def _leave(self) -> None:
        presence, self._presence = self._presence, None
        if presence is not None:
            await presence.close()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
