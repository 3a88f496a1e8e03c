"""A worker: one coroutine, one kept connection, one mail after the other, several on their way where the relay allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import structlog

from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.heartbeat import Heartbeat
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.pacing import Pacing
from mailworkers.daemon.preparing import Prepared, Preparing
from mailworkers.daemon.relay_gate import RelayGate
from mailworkers.daemon.settling import Settling
from mailworkers.daemon.warming import Warming
from mailworkers.daemon.window import OnTheWay, Window
from mailworkers.errors import DatabaseError, TemplateNotReady
from mailworkers.limits import BucketKey, Limiter, Purse, Scope
from mailworkers.queue.ack import AckWriter
from mailworkers.queue.leases import WorkerRow
from mailworkers.queue.marks import Marks
from mailworkers.queue.states import Ended, Job, Lane, Snooze
from mailworkers.replies import Broken, Deferred, FailureClass, Outcome, RelayDown, Throttled
from mailworkers.transports.base import Session, Transport

QUIT_SECONDS = 2.0  # a relay that does not answer QUIT has nothing of ours any more
# Of a job's deadline: given up here a little before the database does, so that a reply in between is still recorded.
DEADLINE_SHARE = 0.98
MARK_SECONDS = 10.0  # the mark is one statement; a database that takes longer is in trouble
LOOK_ROUND_SECONDS = 1.0  # a waiting worker looks at its orders so often, should it have missed a wake-up
LEASE_ENDED_SECONDS = 0.1  # between two looks whether there is a lease again, while nobody could tell
MOST_PURSES = 1_000  # lanes for which a worker keeps what their mails are paid from
NOT_NOW_SECONDS = 10.0  # a job whose attachments or template could not be had just now

log = structlog.get_logger(__name__)

State = Literal["starting", "idle", "sending", "waiting", "stopping", "stopped"]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all workers of a daemon work at. `connected` tells how many of them have a connection."""

    buffer: Buffer
    preparing: Preparing
    settling: Settling
    acks: AckWriter
    marks: Marks
    heartbeat: Heartbeat
    relay: RelayGate
    limiter: Limiter
    pacing: Pacing
    warming: Warming
    transport: Transport
    metrics: Metrics
    connected: Callable[[], int]
    job_deadline: float
    idle_seconds: float


class Worker:
    """Takes jobs from the buffer and sees each to its outcome."""

    def __init__(self, slot: int, name: str, bench: Bench) -> None:
        self.slot = slot
        self.name = name
        self.state: State = "starting"
        self.sent = 0
        self.failed = 0
        self._bench = bench
        self._purses: dict[Lane | None, Purse] = {}
        self._configured = -1
        self._spent = False  # a mail could not be paid: the next is begun when that is otherwise
        self._session: Session | None = None
        self._connected_at: float | None = None
        self._window = Window()
        self._beginning: Job | None = None
        self._stopping = False
        self._loop = asyncio.get_running_loop()  # asking for it costs a system call

    @property
    def warm(self) -> bool:
        """Whether it has a connection that takes mails."""
        return self._session is not None and self._session.usable

    @property
    def in_flight(self) -> int:
        """Mails that the relay has in part or whole, and not answered."""
        return len(self._window)

    def job_ids(self) -> Iterator[int]:
        """Jobs that it has taken and not settled."""
        if self._beginning is not None:
            yield self._beginning.id
        for job in self._window.jobs():
            yield job.id

    @property
    def keys(self) -> tuple[BucketKey, ...]:
        """The buckets of its own."""
        return self._bench.limiter.keys_of(Scope.WORKER, self.name)

    @property
    def tokens(self) -> float:
        """Mails that its rate limit lets it begin now."""
        return self._bench.limiter.available(*self.keys)

    @property
    def window(self) -> int:
        """Mails that may be on their way at once."""
        return self._session.window if self._session is not None else 1

    def may_take(self) -> bool:
        """Whether it may begin a mail now."""
        return not self._stopping and self._purse(None).holds()

    def row(self) -> WorkerRow:
        """What `status` shows of it."""
        connected_for = time.monotonic() - self._connected_at if self._connected_at and self.warm else None
        return WorkerRow(self.slot, self.name, self.state, self.sent, self.failed, connected_for)

    def stop(self) -> None:
        """Begin no further mail; `run` returns when those on their way have ended."""
        self._stopping = True
        self.recall("its worker was stopped")

    def recall(self, why: str) -> None:
        """Take back the mails in line, of which nothing has left."""
        if self._session is not None:
            self._session.recall(why)

    def abort(self) -> None:
        """Drop the connection: what is on its way ends as broken or lost, and nothing buffered leaves any more."""
        self.stop()
        if self._session is not None:
            self._session.abort()

    async def run(self) -> None:
        """Work until stopped or cancelled; either way nothing is left on its way."""
        try:
            while not self._stopping:
                self.state = "idle"
                if await self._wait_for_work() and await self._connect():
                    self.state = "sending"
                    await self._pump()
            self.state = "stopping"
            await self._hang_up()
        finally:
            self._abandon()
            self.state = "stopped"

    async def _wait_for_work(self) -> bool:
        if not await self._wait_for_relay() or not await self._may_begin():
            return False
        if await self._bench.buffer.wait(self, LOOK_ROUND_SECONDS):
            return not self._stopping
        session = self._session
        since = session.idle_since if session is not None else None
        if since is not None and asyncio.get_running_loop().time() - since > self._bench.idle_seconds:
            await self._hang_up()
        return False

    async def _wait_for_relay(self) -> bool:
        """Whether the relay takes mails. Where it does not, the worker whose turn it is tries it."""
        relay = self._bench.relay
        if not relay.is_open:
            self.state = "waiting"
            try:
                async with asyncio.timeout(LOOK_ROUND_SECONDS):
                    await relay.permission()
            except TimeoutError:
                return False
            if not relay.is_open:  # this worker is the one that tries, anew: a connection from before proves nothing
                await self._connect(anew=True)
        return relay.is_open

    async def _may_begin(self) -> bool:
        """Whether results have room and the lease holds; waits a little where not."""
        bench = self._bench
        if bench.heartbeat.holds and bench.acks.has_room:
            return True
        self.state = "waiting"
        if not bench.heartbeat.holds and bench.heartbeat.established.is_set():
            # The lease has run out and the heartbeat is still to find out: what is waited for below would not wait.
            await asyncio.sleep(LEASE_ENDED_SECONDS)
            return False
        waiting_for = bench.heartbeat.established.wait() if not bench.heartbeat.holds else bench.acks.wait_for_room()
        try:
            async with asyncio.timeout(LOOK_ROUND_SECONDS):
                await waiting_for
        except TimeoutError:
            return False
        return bench.heartbeat.holds and bench.acks.has_room

    async def _connect(self, *, anew: bool = False) -> bool:
        """Have a session that takes mails, if the relay lets us; `anew`, not the one that there is."""
        if self.warm and not anew:
            return True
        relay = self._bench.relay
        try:
            await self._hang_up()
            made = await self._bench.transport.connect()
        except BaseException:
            relay.give_up_probe()
            raise
        rest = 0.0
        match made:
            case RelayDown(text, _, person_must_act):
                rest = self._refused(text, person_must_act=person_must_act)
            case Throttled(text, _, retry_after):
                rest = self._refused(text, wait=retry_after)
                if not self._bench.connected():  # else it only takes no more connections
                    self._bench.pacing.refused_connection(text, retry_after)
            case session:
                if relay.up():
                    self._bench.metrics.reconnected("relay")
                    log.info("the relay can be reached again")
                self._session, self._connected_at = session, time.monotonic()
                return True
        if rest:
            self.state = "waiting"
            await asyncio.sleep(rest)
        return False

    def _refused(self, text: str, *, person_must_act: bool = False, wait: float | None = None) -> float:
        relay = self._bench.relay
        if relay.is_open:
            log.warning("the relay refused a connection", problem=text)
        return relay.down(text, person_must_act=person_must_act, connected=self._bench.connected(), wait=wait)

    async def _pump(self) -> None:
        """Keep the session's window full until there is nothing to send or the session takes no more."""
        session = self._session
        assert session is not None
        while True:
            while self._window.has_room(session) and self._allowed() and (job := self._bench.buffer.take()) is not None:
                self._beginning = job
                await (self._begin_warm(session, job) if self._bench.warming.active else self._begin(session, job))
                self._beginning = None
            if not self._window:
                if session.usable and not session.ready():  # it answered, but reads no more
                    session.abort()
                return
            await self._window.wait(session)
            self._settle_ended()

    def _allowed(self) -> bool:
        bench = self._bench
        if self._spent:
            self._spent = not self.may_take()
        return not (self._stopping or self._spent) and bench.heartbeat.holds and bench.acks.has_room

    async def _begin_warm(self, session: Session, job: Job) -> None:
        """As `_begin`, while senders are being warmed up: a mail that may not go today waits, without an attempt."""
        warming = self._bench.warming
        waits = await warming.admit(job)
        if waits is not None:
            self._bench.settling.record(waits)
            return
        if not await self._begin(session, job):
            warming.unused(job)

    async def _begin(self, session: Session, job: Job) -> bool:
        """Compose it, pay for it and hand it to the session; tells whether the session has it."""
        bench = self._bench
        left = bench.job_deadline * DEADLINE_SHARE - (time.monotonic() - job.claimed)
        deadline = self._loop.time() + left
        if left <= 0:  # it waited so long in the buffer that it is not ours any more
            bench.settling.release([job])
            return False
        prepared = await self._prepared(job)
        if prepared is None:
            return False
        purse = self._purse(job.lane) if bench.limiter.limited else None
        if job.at_most_once and not await self._mark(job, purse):
            return False
        if (
            not bench.heartbeat.holds
        ):  # lost while attachments were read or the mark was written: others may send it now
            bench.settling.release([job])
            return False
        # At the last moment: a limit counts when mails leave, and tokens may have expired while this job waited.
        if purse is not None and not purse.pay():
            bench.preparing.keep(job, prepared)
            self._lacks_tokens(job, marked=job.at_most_once)
            return False
        ending = session.submit(prepared.mail, deadline)
        self._window.add(OnTheWay(job, prepared.message_id, time.monotonic(), bench.heartbeat.daemon_id, ending))
        return True

    async def _prepared(self, job: Job) -> Prepared | None:
        """The composed mail; None where there is none, which is recorded."""
        try:
            prepared = await self._bench.preparing.prepare(job)
        except (DatabaseError, TemplateNotReady, MemoryError) as trouble:
            self._could_not_compose(job, trouble)
            return None
        if isinstance(prepared, Ended):
            self.failed += 1
            self._bench.settling.record(prepared)
            return None
        return prepared

    async def _mark(self, job: Job, purse: Purse | None) -> bool:
        """Write that it is begun, and not in vain; else it has gone back."""
        if purse is not None and not purse.holds():
            self._lacks_tokens(job)
            return False
        marked = await self._bench.marks.mark(job, MARK_SECONDS)
        if not marked:
            self._bench.settling.release([job])
        return marked

    def _purse(self, lane: Lane | None) -> Purse:
        """What a mail of this lane is paid from, or a mail of any; which buckets that are is worked out once."""
        limiter = self._bench.limiter
        if self._configured != limiter.configured or len(self._purses) >= MOST_PURSES:
            self._configured = limiter.configured
            self._purses.clear()
        purse = self._purses.get(lane)
        if purse is None:
            purse = self._purses[lane] = limiter.purse(*self._paid_from(lane))
        return purse

    def _paid_from(self, lane: Lane | None) -> tuple[BucketKey, ...]:
        limiter = self._bench.limiter
        of_lane = () if lane is None else limiter.lane_keys(lane.workspace_id, lane.destination_group)
        return (*self.keys, *limiter.common_keys(), *of_lane)

    def _lacks_tokens(self, job: Job, *, marked: bool = False) -> None:
        """Where this worker or all mails have none left, the job is the next; where its lane has none, it makes room."""
        bench = self._bench
        keys = bench.limiter.lane_keys(job.lane.workspace_id, job.lane.destination_group)
        if bench.limiter.allows(*keys):
            self._spent = True
            if not marked:
                bench.buffer.put_back(job)
                return
        else:
            bench.pacing.lacks_tokens(job.lane, bench.limiter.wait(*keys))
        bench.settling.release([job])

    def _could_not_compose(self, job: Job, trouble: DatabaseError | TemplateNotReady | MemoryError) -> None:
        """What is missing for it, others may miss too: it waits. Memory costs an attempt, so that a mail that never fits ends."""
        settling = self._bench.settling
        if not isinstance(trouble, MemoryError):
            settling.record(Snooze(job, NOT_NOW_SECONDS, str(trouble)))
            return
        log.warning("no memory was left to compose a mail", job=job.id, characters=job.size)
        self.failed += 1
        outcome = Deferred(FailureClass.SYSTEM, "no memory was left to compose it")
        settling.settle(job, outcome, "", time.monotonic(), may_try_again=False)

    def _settle_ended(self) -> None:
        for mail in self._window.ended():
            self._settle(mail, mail.ending.result())

    def _settle(self, mail: OnTheWay, outcome: Outcome) -> None:
        if self._bench.warming.active:
            self._bench.warming.settled(mail.job, outcome)
        if isinstance(outcome, RelayDown):
            self._refused(outcome.text, person_must_act=outcome.person_must_act)
        heartbeat = self._bench.heartbeat
        may_try_again = not self._stopping and heartbeat.holds and heartbeat.daemon_id == mail.daemon_id
        sent = self._bench.settling.settle(mail.job, outcome, mail.message_id, mail.began, may_try_again=may_try_again)
        if sent:
            self.sent += 1
        elif sent is not None:
            self.failed += 1
        elif isinstance(outcome, Broken) and not outcome.begun:
            self._bench.limiter.give_back(*self._paid_from(mail.job.lane), taken_at=mail.began)

    async def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close(QUIT_SECONDS)

    def _abandon(self) -> None:
        """Cancelled in the middle: nothing buffered may leave, and each mail's end is recorded as far as it is known."""
        self._stopping = True
        self._beginning = None
        session, self._session = self._session, None
        if session is not None:
            session.abort()
        self._settle_ended()
        self._window.clear()
