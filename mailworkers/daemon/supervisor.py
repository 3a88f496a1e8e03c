"""The life of a daemon: start → run → drain → stop.

    start   database, schema, health page, lease: any of them missing ends it here, with one clear line
    run     until SIGTERM, SIGINT, a bug in one of the loops, or a migration that ends older daemons; SIGHUP takes over
            what may change
    drain   nothing new is claimed, what was not begun is released, mails in flight get DRAIN_SECONDS
    stop    results are written, the lease is given back, connections are closed

A second SIGINT forces the exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from mailworkers.daemon import logs, memory, schema_watch, warming
from mailworkers.daemon.assembly import Daemon, assemble
from mailworkers.daemon.freeze import FreezeWatch
from mailworkers.daemon.last_results import write_last_results
from mailworkers.daemon.loop_lag import watch_loop_lag
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.notify import Notifier
from mailworkers.daemon.scaling import INTERVAL_SECONDS, Load, Scaling
from mailworkers.daemon.vitals import Vitals
from mailworkers.db import migrate
from mailworkers.db.pool import Database
from mailworkers.destinations import lookup
from mailworkers.errors import DatabaseError, MailworkersError, SchemaMismatch, SettingsError
from mailworkers.settings import Settings, reload
from mailworkers.transports import Transport, transport_for

EXIT_BUG = 70  # EX_SOFTWARE of sysexits(3): systemd starts it again
FLUSH_SECONDS = 15.0  # for the last results to be written; within what systemd grants beyond DRAIN_SECONDS
STATUS_SECONDS = 5.0
COUNT_BOUND = 1_001  # jobs of one lane that scaling counts: one more than it asks about
COUNT_LANES = 32

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Running:
    """A daemon at work, as those see it who started it."""

    vitals: Vitals
    metrics: Metrics
    database: Database
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Page(Protocol):
    """What the supervisor asks of a health page; the room above makes it."""

    async def start(self) -> None:
        """Serve. Raises PortInUse."""

    async def stop(self) -> None:
        """End within a bounded time."""


MakePage = Callable[[Settings, Vitals, Metrics], Page]


async def run(
    settings: Settings,
    dsn: str,
    *,
    make_page: MakePage | None = None,
    on_ready: Callable[[Running], None] | None = None,
    metrics: Metrics | None = None,
    transport: Transport | None = None,
) -> int:
    """Run a daemon until it is told to stop; its exit code.

    Args:
        settings: everything it needs to know.
        dsn: the database.
        make_page: makes the health page; none is served without it.
        on_ready: called once mails can be sent; gets the means to stop it.
        metrics: to count into; a new set where none is given.
        transport: the way out; the one that the settings ask for where none is given.

    Raises:
        MailworkersError: it could not start.
        SchemaMismatch: besides, it was ended by a migration of a later version, after it had drained.
    """
    logs.configure(settings.log_level, settings.log_format)
    version = await migrate.require_current(dsn, settings.db_schema)
    database = await Database.connect(settings, dsn)
    try:
        async with asyncio.TaskGroup() as tasks:
            way_out = transport or transport_for(settings)
            daemon = assemble(settings, database, way_out, metrics or Metrics(), tasks)
            daemon.vitals.schema_version = version
            return await Life(daemon, tasks, FreezeWatch(daemon.heartbeat, way_out.cut_off)).live(make_page, on_ready)
    except* MailworkersError as group:
        raise _first(group) from None
    finally:
        await database.close()


def _first(group: BaseExceptionGroup[MailworkersError]) -> MailworkersError:
    """What ended the start, out of the task group's wrapping."""
    (error, *_) = group.exceptions
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


class Life:
    """One daemon from start to stop."""

    def __init__(self, daemon: Daemon, tasks: asyncio.TaskGroup, freeze: FreezeWatch) -> None:
        self._daemon = daemon
        self._tasks = tasks
        self._freeze = freeze
        self._loops: list[asyncio.Task[None]] = []
        self._running = Running(daemon.vitals, daemon.metrics, daemon.database)
        self._notifier = Notifier()
        self._scaling = Scaling()
        self._sent_before = (time.monotonic(), 0)
        self._rate_per_hour = 0.0
        self._exit_code = 0
        self._superseded: SchemaMismatch | None = None

    async def live(self, make_page: MakePage | None, on_ready: Callable[[Running], None] | None) -> int:
        """All of it; the exit code."""
        daemon = self._daemon
        page = make_page(daemon.current.settings, daemon.vitals, daemon.metrics) if make_page else None
        async with contextlib.AsyncExitStack() as around:
            around.enter_context(self._signals())
            around.enter_context(self._freeze.listening())
            around.enter_context(memory.watched(self._end_by_bug))
            if page is not None:
                await page.start()  # before the lease: a taken port ends a daemon that nobody has heard of
                around.push_async_callback(page.stop)
            await daemon.heartbeat.establish()
            try:
                await daemon.warming.round()  # before the first mail
                await daemon.pacing.round()
                self._start()
                log.info("daemon ready", daemon=daemon.heartbeat.daemon_id, instance=daemon.vitals.instance)
                self._notifier.ready("sending")
                if on_ready is not None:
                    on_ready(self._running)
                await self._running.stop.wait()
                await self._drain()
            finally:
                await self._stop()
        if self._superseded is not None:
            raise self._superseded
        return self._exit_code

    def _start(self) -> None:
        daemon = self._daemon
        daemon.vitals.phase = "running"
        schema = schema_watch.SchemaWatch(daemon.database.claims, daemon.vitals, self._end_superseded)
        for name, loop in (
            ("heartbeat", daemon.heartbeat.run()),
            ("acks", daemon.acks.run()),
            ("marks", daemon.marks.run()),
            ("maintenance", daemon.maintenance.run()),
            ("dispatcher", daemon.dispatcher.run()),
            ("campaigns", daemon.campaigning.run()),
            ("scaling", daemon.trouble.keep_doing("scaling", INTERVAL_SECONDS, self._scale)),
            (
                "schema watch",
                daemon.trouble.keep_doing("schema watch", schema_watch.INTERVAL_SECONDS, schema.look, grave=False),
            ),
            ("limits", daemon.trouble.keep_doing("limits", 0.0, daemon.pacing.step, grave=False)),
            ("warm-up", daemon.trouble.keep_doing("warm-up", warming.ROUND_SECONDS, daemon.warming.round, grave=False)),
            ("loop lag", watch_loop_lag(daemon.vitals, daemon.metrics, on_late=self._freeze.late)),
            ("supervisor's line", self._keep_telling()),
        ):
            self._begin(name, loop)
        if daemon.lookup is not None:
            looking = daemon.trouble.keep_doing(
                "destinations", lookup.INTERVAL_SECONDS, daemon.lookup.step, grave=False
            )
            self._begin("destinations", looking)
        daemon.crew.resize(daemon.current.settings.min_workers)

    def _begin(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        self._loops.append(self._tasks.create_task(self._guard(name, loop), name=name))

    async def _guard(self, name: str, loop: Awaitable[None]) -> None:
        """A loop that ends by itself has met a bug: the daemon drains and ends, and systemd starts it again."""
        try:
            await loop
        except Exception:
            self._end_by_bug()
            log.exception("a loop met a bug; the daemon drains and ends", loop=name)

    def _end_by_bug(self) -> None:
        self._exit_code = EXIT_BUG
        self._running.stop.set()

    def _end_superseded(self, why: SchemaMismatch) -> None:
        if self._superseded is None:
            log.error("a migration ends this daemon", problem=why.message)
            self._superseded = why
            self._running.stop.set()

    async def _drain(self) -> None:
        daemon = self._daemon
        grace = daemon.current.settings.drain_seconds
        daemon.vitals.phase = "draining"
        self._notifier.stopping("draining")
        self._notifier.extend_timeout(grace + FLUSH_SECONDS + STATUS_SECONDS)
        log.info("draining", in_flight=daemon.crew.in_flight, seconds=grace)
        self._release()
        if not await daemon.crew.drain(grace):
            log.warning("mails in flight were aborted at the end of the grace period")
        self._release()
        if not await write_last_results(daemon.acks, FLUSH_SECONDS):
            self._exit_code = self._exit_code or 1

    async def _stop(self) -> None:
        daemon = self._daemon
        daemon.vitals.phase = "stopped"
        daemon.crew.abort()  # before the lease ends: nothing may still be leaving when others take over
        for loop in self._loops:
            loop.cancel()
        if self._loops:
            await asyncio.wait(self._loops, timeout=FLUSH_SECONDS)
        with contextlib.suppress(DatabaseError):
            await daemon.limiter.close()
        await daemon.warming.close()
        await daemon.heartbeat.end("stopped")
        log.info("daemon stopped")

    def _release(self) -> None:
        self._daemon.settling.release(self._daemon.buffer.take_out(lambda _job: True))

    async def _scale(self) -> None:
        """One round of scaling, and the figures that go with it. Raises DatabaseError."""
        daemon, settings = self._daemon, self._daemon.current.settings
        vitals = daemon.vitals
        self._measure_rate()
        heads = daemon.book.due_heads(COUNT_LANES)
        waiting = await daemon.claims.count_due(heads, COUNT_BOUND) if heads else 0
        if vitals.phase == "running":
            load = Load(
                workers=len(daemon.crew),
                waiting=waiting,
                rate_per_hour=self._rate_per_hour,
                target_per_hour=settings.target_per_hour,
                tolerated=daemon.relay.tolerated(daemon.crew.connected),
                min_workers=settings.min_workers,
                max_workers=settings.max_workers,
            )
            daemon.crew.resize(self._scaling.next(load))
        self._refresh_vitals()

    def _measure_rate(self) -> None:
        now, done = time.monotonic(), self._daemon.settling.completed
        before, done_before = self._sent_before
        if now > before:
            self._rate_per_hour = (done - done_before) / (now - before) * 3600
            self._sent_before = (now, done)

    def _refresh_vitals(self) -> None:
        daemon, vitals = self._daemon, self._daemon.vitals
        vitals.unwritten = daemon.acks.unwritten
        vitals.writing_stalled = daemon.acks.stalled
        vitals.relay_problem = daemon.relay.problem
        vitals.in_flight, vitals.buffered = daemon.crew.in_flight, len(daemon.buffer)
        vitals.workers, vitals.connected = len(daemon.crew), daemon.crew.connected
        resting = daemon.book.resting()
        vitals.resting_lanes.clear()
        vitals.resting_lanes.update({str(lane): reason for lane, (_, reason) in resting.items() if reason})

    async def _keep_telling(self) -> None:
        """Tell systemd how it goes, and feed its watchdog while the dispatcher comes round."""
        interval = min(self._notifier.watchdog_interval or STATUS_SECONDS, STATUS_SECONDS)
        vitals, dispatcher = self._daemon.vitals, self._daemon.dispatcher
        while True:
            if time.monotonic() - dispatcher.last_round < 2 * interval + dispatcher.longest_round:
                self._notifier.feed_watchdog()
            trouble = vitals.database_problem or vitals.relay_problem
            self._notifier.status(trouble or f"{self._rate_per_hour / 3600:.1f} mails/s, {vitals.workers} workers")
            await asyncio.sleep(interval)

    def _reload(self) -> None:
        """SIGHUP: take over what may change while running; bad settings change nothing."""
        daemon = self._daemon
        self._notifier.reloading()
        try:
            settings, changed, needs_restart = reload(daemon.current.settings)
        except SettingsError as bad:
            log.error("settings not reloaded", problem=str(bad))  # noqa: TRY400 -- expected: one line is enough
        else:
            daemon.current.take(settings)
            daemon.preparing.drop_ahead()
            logs.set_level(settings.log_level)
            daemon.pacing.configure()
            log.info("settings reloaded", changed=changed, needs_restart=needs_restart)
        self._notifier.ready("sending")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Hear SIGTERM, SIGINT and SIGHUP. Only the main thread can; elsewhere whoever started it stops it."""
        loop = asyncio.get_running_loop()
        main = asyncio.current_task()
        assert main is not None

        def interrupted() -> None:
            if self._running.stop.is_set():
                log.warning("exit forced: mails in flight may be sent again")
                main.cancel()
            self._running.stop.set()

        handlers: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGTERM: self._running.stop.set,
            signal.SIGINT: interrupted,
            signal.SIGHUP: self._reload,
        }
        heard = []
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, handler)
                heard.append(number)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)
