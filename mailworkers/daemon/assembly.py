"""The rooms of one daemon, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from mailworkers.campaigns.making import Making
from mailworkers.daemon.buffer import Buffer
from mailworkers.daemon.campaigning import Campaigning
from mailworkers.daemon.crew import Crew
from mailworkers.daemon.dispatcher import Dispatcher
from mailworkers.daemon.domains import lookup_of_domains, noted_by
from mailworkers.daemon.gauges import PoolUse
from mailworkers.daemon.heartbeat import Heartbeat, Wards
from mailworkers.daemon.lanes import LaneBook
from mailworkers.daemon.line import Line
from mailworkers.daemon.maintenance import House, Maintenance
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.pacing import Asked, Pacing
from mailworkers.daemon.preparing import Preparing
from mailworkers.daemon.relay_gate import RelayGate
from mailworkers.daemon.settling import Settling
from mailworkers.daemon.trouble import Trouble
from mailworkers.daemon.vitals import Vitals
from mailworkers.daemon.warming import Warming
from mailworkers.daemon.worker import Bench
from mailworkers.db.pool import Database
from mailworkers.destinations.lookup import Lookup
from mailworkers.errors import ComposeError, DatabaseError
from mailworkers.limits import Ledger, Limiter, Sharing, limits_from
from mailworkers.mail.addresses import ascii_domain
from mailworkers.mail.row import SenderDefaults
from mailworkers.queue.ack import AckWriter, Written
from mailworkers.queue.claim import Claims
from mailworkers.queue.leases import Leases
from mailworkers.queue.marks import Marks
from mailworkers.settings import Settings
from mailworkers.transports import Transport
from mailworkers.warming import Ledger as WarmUps


@dataclass(slots=True)
class Current:
    """The settings in force, which SIGHUP may replace, and what is worked out of them once, not for every mail."""

    settings: Settings
    _schedule: tuple[float, ...] = field(init=False)
    _sender: SenderDefaults = field(init=False)

    def __post_init__(self) -> None:
        self.take(self.settings)

    def take(self, settings: Settings) -> None:
        """These are in force from now on."""
        self.settings = settings
        self._schedule = settings.retry_schedule
        self._sender = SenderDefaults(settings.sender_email, settings.from_name)

    def schedule(self) -> tuple[float, ...]:
        """Seconds before each retry."""
        return self._schedule

    def give_up(self) -> float:
        """Seconds after which a mail that the relay only puts off is abandoned."""
        return self.settings.give_up_hours * 3600

    def sender(self) -> SenderDefaults:
        """Who sends mails of rows that name nobody."""
        return self._sender

    def sender_domain(self) -> str:
        """The domain in the Message-ID of such mails; empty where that is no domain name."""
        try:
            return ascii_domain(self._sender.from_email.rpartition("@")[2])
        except ComposeError:
            return ""

    def retention(self) -> int:
        """Months of history."""
        return self.settings.retention_months

    def campaign_window(self) -> int:
        """Jobs of a campaign that may be live at once."""
        return self.settings.campaign_window


@dataclass(slots=True)
class Daemon:
    """Everything that one daemon consists of."""

    current: Current
    database: Database
    vitals: Vitals
    metrics: Metrics
    trouble: Trouble
    buffer: Buffer
    book: LaneBook
    relay: RelayGate
    claims: Claims
    heartbeat: Heartbeat
    acks: AckWriter
    marks: Marks
    limiter: Limiter
    pacing: Pacing
    warming: Warming
    settling: Settling
    preparing: Preparing
    crew: Crew
    dispatcher: Dispatcher
    maintenance: Maintenance
    campaigning: Campaigning
    lookup: Lookup | None


def assemble(
    settings: Settings, database: Database, transport: Transport, metrics: Metrics, tasks: asyncio.TaskGroup
) -> Daemon:
    """Build a daemon that does nothing yet.

    Args:
        settings: in force until SIGHUP.
        database: connected.
        transport: the way out.
        metrics: may be disabled.
        tasks: where workers will run.
    """
    current = Current(settings)
    vitals = Vitals(instance=settings.instance_name, max_unwritten=settings.max_unwritten)
    trouble = Trouble(vitals, metrics)
    buffer, book, relay = Buffer(), LaneBook(), RelayGate()
    claims = Claims(database.claims, settings.job_deadline_seconds)
    leases = Leases(database.leases, settings.instance_name, settings.lease_seconds)
    limiter = Limiter(Ledger(database.claims), provider=settings.smtp_host)
    pacing = Pacing(limiter, Sharing(database.claims), book, vitals, lambda: _asked(current.settings, heartbeat))
    warming = Warming(WarmUps(database.claims), lambda: current.sender().from_email, book.rest_front, vitals)

    wards = Wards(
        rows=lambda: crew.rows(),  # noqa: PLW0108 -- the crew does not exist yet
        held=lambda: [*buffer.job_ids(), *crew.job_ids(), *acks.job_ids()],
        on_lost=lambda: lease_lost(),  # noqa: PLW0108 -- as above
    )
    heartbeat = Heartbeat(settings, database.dsn, leases, vitals, trouble, wards)
    database.on_moved = heartbeat.moved
    pacing.changed = heartbeat.limits_changed
    pacing.configure()

    def lease_lost() -> None:
        settling.release(buffer.take_out(lambda _job: True))
        crew.recall("the daemon's lease was lost")

    def written(done: Written) -> None:
        trouble.over("acks")
        settling.written(done)
        if done.late is not None and not done.repeated:
            heartbeat.doubt(done.late)

    acks = AckWriter(
        database.acks,
        lambda: heartbeat.daemon_id,
        batch=settings.ack_batch,
        delay=settings.ack_delay_ms / 1000,
        bound=settings.max_unwritten,
        on_written=written,
        on_trouble=_told(trouble),
    )
    settling = Settling(
        acks, buffer, metrics, vitals, pacing,
        schedule=current.schedule,
        give_up=current.give_up,
    )  # fmt: skip
    marks = Marks(database.leases)
    preparing = Preparing(database.claims, current.sender, buffer.upcoming)
    crew = Crew(
        tasks,
        lambda made: Bench(
            buffer, preparing, settling, acks, marks, heartbeat, relay, limiter, pacing, warming, transport, metrics,
            connected=lambda: made.connected,
            job_deadline=settings.job_deadline_seconds,
            idle_seconds=settings.smtp_idle_seconds,
        ),
        name=lambda: _name(settings, heartbeat),
    )  # fmt: skip
    lookup = lookup_of_domains(settings, database, vitals)
    dispatcher = Dispatcher(
        Line(
            claims, buffer, book, crew, acks, settling, heartbeat, relay, limiter, pacing, metrics, vitals, trouble,
            seen=noted_by(lookup),
        ),
        claim_batch=settings.claim_batch,
        poll_seconds=settings.poll_seconds,
        job_deadline=settings.job_deadline_seconds,
        draining=lambda: vitals.phase == "draining",
    )  # fmt: skip
    maintenance = Maintenance(
        House(
            database, heartbeat, leases, claims, book, vitals, metrics, trouble,
            job_deadline=settings.job_deadline_seconds,
            retention_months=current.retention,
            retry_schedule=current.schedule,
            sender_domain=current.sender_domain,
        )
    )  # fmt: skip
    campaigning = Campaigning(
        Making(database.claims, database.campaigns), trouble, heartbeat.campaigns_changed,
        window=current.campaign_window,
        hold=_hold(book, buffer, settling, heartbeat),
    )  # fmt: skip
    metrics.watch(vitals, lambda: {name: PoolUse(size - idle, idle) for name, (size, idle) in database.sizes().items()})
    return Daemon(
        current, database, vitals, metrics, trouble, buffer, book, relay, claims, heartbeat, acks, marks, limiter, pacing,
        warming, settling, preparing, crew, dispatcher, maintenance, campaigning, lookup,
    )  # fmt: skip


def _name(settings: Settings, heartbeat: Heartbeat) -> str:
    ordinal = heartbeat.registration.ordinal if heartbeat.registration else 0
    return f"{settings.instance_name}#{ordinal}"


def _asked(settings: Settings, heartbeat: Heartbeat) -> Asked:
    limits = limits_from(settings)
    return Asked(limits, settings.rate_buffer_percent, _name(settings, heartbeat), settings.smtp_host)


def _told(trouble: Trouble) -> Callable[[DatabaseError], None]:
    def tell(error: DatabaseError) -> None:
        trouble.met("acks", error)

    return tell


def _hold(book: LaneBook, buffer: Buffer, settling: Settling, heartbeat: Heartbeat) -> Callable[[frozenset[int]], None]:
    before: frozenset[int] = frozenset()

    def hold(campaigns: frozenset[int]) -> None:
        nonlocal before
        book.hold(campaigns)
        if campaigns and len(buffer):
            settling.release(buffer.take_out(lambda job: job.row["campaign"] in campaigns))
        if before - campaigns:  # no insert tells the dispatcher that there is work again
            heartbeat.woken.set()
        before = campaigns

    return hold
