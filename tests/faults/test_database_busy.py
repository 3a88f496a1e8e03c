"""Cases 18, 19, 21, 22 and 23: no connection to be had, a pool used up, a locked table, a killed LISTEN, a flood of notifications."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from mailworkers.settings import Settings
from tests.faults.conftest import CONNECT_SECONDS, Measured, Place
from tests.faults.invariants import Bound, all_sent, hold, insert, nothing_lost, witnessed
from tests.support.cluster import Cluster, cluster_folder
from tests.support.daemon import FREE, DaemonProcess
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 2000
MIDDLE = 300
FEW = 50
NOTICED_SECONDS = 10.0
BACK_SECONDS = 10.0
STATEMENT_SECONDS = 2
POLL_SECONDS = 0.5
LISTEN_BACK_SECONDS = 3.0
CONNECTIONS = 20  # of the small server; three of them are the superuser's own
NOTIFICATIONS = 50_000
MOST_LOOKS = 50  # statements that 50,000 notifications may cost
PRESENCE = "application_name LIKE 'mailworkers presence%' AND datname = current_database()"


@asynccontextmanager
async def small_server() -> AsyncIterator[Cluster]:
    """A server with few connections."""
    with cluster_folder() as folder:
        cluster = Cluster(folder, max_connections=str(CONNECTIONS))
        await cluster.start()
        try:
            yield cluster
        finally:
            cluster.close()


async def test_case_18_max_connections_reached(start_daemon: StartDaemon, measured: Measured) -> None:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(small_server())
        sink = await stack.enter_async_context(Sink(keep_content=False))
        name = await cluster.database()
        owner = await asyncpg.connect(cluster.dsn(name), timeout=CONNECT_SECONDS)
        stack.callback(owner.terminate)
        await owner.execute("CREATE ROLE worker LOGIN IN ROLE mailworkers_worker; CREATE ROLE hog LOGIN")

        # given a daemon in the middle of its work
        daemon = start_daemon(cluster.dsn(name, "worker"), sink.port)
        await daemon.ready()
        jobs = await insert(owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when it loses its connections, and others take every one that there is
        hogs: list[Any] = []
        async with witnessed(daemon) as witness:
            await eventually(lambda: _crowded_out(cluster, name, owner, hogs), "no connection is left to the daemon")
            await eventually(lambda: witness.unready > 0, "/readyz says that nothing goes", NOTICED_SECONDS)

            # then it backs off, and goes on when there is room
            for hog in hogs:
                await hog.close(timeout=CONNECT_SECONDS)
            freed = time.monotonic()
            await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
            seconds = time.monotonic() - freed
        assert not witness.silent
        await all_sent(owner, jobs)
        found = await hold(owner, sink, jobs, Bound(), daemon)
        measured(
            f"case 18: {len(hogs)} strangers held every connection; ready {seconds:.2f} s after they left; "
            f"lost 0, sent twice {found.twice}"
        )


async def _crowded_out(cluster: Cluster, database: str, owner: Any, hogs: list[Any]) -> bool:
    """Take each free connection and end the daemon's; whether it has none."""
    while (hog := await _one_more(cluster, database)) is not None:
        hogs.append(hog)
    ended = await owner.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'worker'")
    return not ended


async def _one_more(cluster: Cluster, database: str) -> Any | None:
    try:
        return await asyncpg.connect(cluster.dsn(database, "hog"), timeout=CONNECT_SECONDS)
    except asyncpg.TooManyConnectionsError:
        return None


async def test_case_19_the_pool_is_exhausted(place: Place, measured: Measured) -> None:
    settings = Settings(
        database_url=place.dsn(), instance="test", from_email=FREE["FROM_EMAIL"], http_port=0, poll_seconds=0.05,
        worker_rate_per_minute=0, worker_rate_per_hour=0, target_per_hour=0, drain_seconds=5, log_format="text",
        lease_seconds=3, heartbeat_seconds=0.5,
    )  # fmt: skip
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        async with running_daemon(settings.model_copy(update={"smtp_port": sink.port})) as daemon:
            jobs = await insert(place.owner, MAILS)
            await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

            # when all connections for claims are in use for longer than a lease
            async with AsyncExitStack() as stack:
                for _ in range(3):
                    await stack.enter_async_context(daemon.database.claims.connection("holding on"))
                beat = daemon.vitals.last_heartbeat or 0.0
                held_at = time.monotonic()
                await eventually(lambda: daemon.vitals.unwritten == 0 and daemon.vitals.in_flight == 0, "acks go on")
                await eventually(lambda: time.monotonic() - held_at > settings.lease_seconds, "a lease's time is over")

                # then acks and heartbeats went on over connections of their own
                assert (daemon.vitals.last_heartbeat or 0.0) > beat + settings.lease_seconds / 2
                assert not daemon.vitals.liveness_lost
                written = await place.owner.fetchval("SELECT count(*) FROM mailworkers.email_sends")
                assert written == len(sink.mails) < MAILS
                await nothing_lost(place.owner, jobs)

            # and claims come back with the connections
            await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), lease_seconds=settings.lease_seconds)
    measured(
        f"case 19: claims starved for {settings.lease_seconds} s after {written} mails, the lease held; "
        f"lost 0, sent twice {found.twice}"
    )


async def test_case_21_table_locked(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        daemon = start_daemon(place.dsn(), sink.port, DATABASE_TIMEOUT_SECONDS=STATEMENT_SECONDS)
        await daemon.ready()
        jobs = await insert(place.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when somebody locks the table for longer than any statement waits
        async with witnessed(daemon) as witness, place.owner.transaction():
            await place.owner.execute("LOCK TABLE mailworkers.email_jobs IN ACCESS EXCLUSIVE MODE")
            locked = time.monotonic()
            await eventually(lambda: witness.unready > 0, "/readyz says that nothing goes", NOTICED_SECONDS)
            noticed = time.monotonic() - locked
            await eventually(lambda: time.monotonic() - locked > 3 * STATEMENT_SECONDS, "each wait has ended once")
            assert "lock timeout" in daemon.output

        # then everything was tried again, and all is sent once
        freed = time.monotonic()
        await eventually(daemon.is_ready, "the daemon is ready again", BACK_SECONDS)
        seconds = time.monotonic() - freed
        assert not witness.silent
        await all_sent(place.owner, jobs)
        found = await hold(place.owner, sink, jobs, Bound(), daemon)
        measured(
            f"case 21: not ready {noticed:.2f} s after the lock, ready {seconds:.2f} s after its end; "
            f"lost 0, sent twice {found.twice}"
        )


async def test_case_22_listen_connection_killed(place: Place, start_daemon: StartDaemon, measured: Measured) -> None:
    async with Sink(keep_content=False) as sink:
        # given an idle daemon that listens
        daemon = start_daemon(place.dsn(), sink.port, POLL_SECONDS=POLL_SECONDS)
        await daemon.ready()
        first = await insert(place.owner, FEW)
        await all_sent(place.owner, first)
        question = f"SELECT pid FROM pg_stat_activity WHERE {PRESENCE}"

        async def listening() -> bool:
            return await place.owner.fetchval(question) is not None

        await eventually(listening, "it has its session")
        old = await place.owner.fetchval(question)

        # when that session is killed and mails are inserted at once
        await place.owner.fetchval("SELECT pg_terminate_backend($1)", old)
        killed = time.monotonic()
        second = await insert(place.owner, FEW, first=FEW + 1)
        await all_sent(place.owner, second, LISTEN_BACK_SECONDS)
        seconds = time.monotonic() - killed

        # then they were found, and the daemon listens again
        async def listening_again() -> bool:
            pid = await place.owner.fetchval(question)
            return pid is not None and pid != old

        await eventually(listening_again, "it has a new session", LISTEN_BACK_SECONDS)
        back = time.monotonic() - killed
        found = await hold(place.owner, sink, first + second, Bound(), daemon)
        measured(
            f"case 22: mails out {seconds:.2f} s after the kill (polling every {POLL_SECONDS} s), "
            f"a new session within {back:.2f} s; sent twice {found.twice}"
        )


async def test_case_23_fifty_thousand_notifications_at_once(place: Place, measured: Measured) -> None:
    settings = Settings(
        database_url=place.dsn(), instance="test", from_email=FREE["FROM_EMAIL"], http_port=0, poll_seconds=60,
        worker_rate_per_minute=0, worker_rate_per_hour=0, target_per_hour=0, drain_seconds=5, log_format="text",
    )  # fmt: skip
    async with Sink(keep_content=False) as sink:
        # given an idle daemon that hardly ever polls
        async with running_daemon(settings.model_copy(update={"smtp_port": sink.port})) as daemon:
            first = await insert(place.owner, FEW)
            await all_sent(place.owner, first)
            before = daemon.database.statements
            began = time.monotonic()

            # when it is notified 50,000 times, each time of something else
            await place.owner.execute(
                f"SELECT pg_notify('mailworkers_jobs', n::text) FROM generate_series(1, {NOTIFICATIONS}) AS n"
            )
            second = await insert(place.owner, FEW, first=FEW + 1)
            await all_sent(place.owner, second)
            seconds = time.monotonic() - began
            looks = daemon.database.statements - before

            # then that costs a few looks, and new mail goes out meanwhile
            assert looks < MOST_LOOKS
            lag = daemon.vitals.loop_lag
        found = await hold(place.owner, sink, first + second, Bound())
    measured(
        f"case 23: {NOTIFICATIONS} notifications cost {looks} statements; mail inserted behind them was out "
        f"{seconds:.2f} s after the first; loop at most {lag:.2f} s late; sent twice {found.twice}"
    )
