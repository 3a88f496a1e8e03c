"""Cases 16 and 17: the server becomes read-only, or is gone; a synchronous standby takes over, and the DSN names both."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import CONNECT_SECONDS, STATEMENT_SECONDS, Measured
from tests.faults.invariants import Bound, all_sent, hold, insert
from tests.support.cluster import STANDBY, SUPERUSER, Cluster, cluster_folder
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
MAILS = 2000
MIDDLE = 300
WORKERS = 4
MAX_UNWRITTEN = 100
LIMITS = {"MIN_WORKERS": WORKERS, "MAX_WORKERS": WORKERS, "MAX_UNWRITTEN": MAX_UNWRITTEN}
STILL_ON_THEIR_WAY = WORKERS * MOST_AT_ONCE + MAX_UNWRITTEN  # mails that may leave without a database
BACK_SECONDS = 15.0
SYNCHRONOUS = "SELECT sync_state = 'sync' FROM pg_stat_replication WHERE application_name = $1"
BEHIND = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) FROM pg_stat_replication WHERE application_name = $1"
# What would notify and prove life there. Connections of the pools that are idle and never used again may stay for a while.
PRESENT = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'mailworkers presence%' AND datname = $1"


@dataclass(frozen=True, slots=True)
class Pair:
    """A server, its synchronous standby, and a migrated database on both."""

    primary: Cluster
    standby: Cluster
    database: str
    owner: Any

    @property
    def dsn(self) -> str:
        """Both hosts; whichever takes writes is meant."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in (self.primary, self.standby))
        return f"postgresql://{SUPERUSER}@{hosts}/{self.database}?sslmode=disable&target_session_attrs=read-write"


@asynccontextmanager
async def replicating() -> AsyncIterator[Pair]:
    with cluster_folder() as one, cluster_folder() as two:
        primary = Cluster(one)
        standby = Cluster(two, standby_of=primary)
        try:
            await primary.start()
            await standby.start()
            database = await primary.database()
            owner = await _connected(primary, database)
            await owner.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
            await owner.execute("SELECT pg_reload_conf()")

            async def synchronous() -> bool:
                return bool(await owner.fetchval(SYNCHRONOUS, STANDBY))

            await eventually(synchronous, "the standby is synchronous")
            yield Pair(primary, standby, database, owner)
            owner.terminate()
        finally:
            primary.close()
            standby.close()


async def test_case_16_primary_becomes_read_only(start_daemon: StartDaemon, measured: Measured) -> None:
    async with replicating() as pair, Sink(keep_content=False) as sink:
        # given two daemons in the middle of their work
        daemons = [start_daemon(pair.dsn, sink.port, INSTANCE=name, **LIMITS) for name in ("first", "second")]
        for daemon in daemons:
            await daemon.ready()
        jobs = await insert(pair.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when the server that they are connected to takes no writes any more, though it answers, and the standby does
        await pair.owner.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await pair.owner.execute("SELECT pg_reload_conf()")

        async def all_there() -> bool:
            return bool(await pair.owner.fetchval(BEHIND, STANDBY) == 0)

        await eventually(all_there, "the standby has all")
        await pair.standby.promote()
        promoted, sent = time.monotonic(), len(sink.mails)

        # then they go on there, and no session of theirs stays behind on the old one
        await eventually(lambda: len(sink.mails) > sent + STILL_ON_THEIR_WAY, "mails flow again", BACK_SECONDS)
        seconds = time.monotonic() - promoted
        owner = await _connected(pair.standby, pair.database)
        await all_sent(owner, jobs)

        async def left() -> bool:
            return bool(await pair.owner.fetchval(PRESENT, pair.database) == 0)

        await eventually(left, "the old server is left")
        assert not [
            daemon for daemon in daemons if "daemons died" in daemon.output
        ]  # none was taken for dead meanwhile
        found = await hold(owner, sink, jobs, Bound(), *daemons)
        owner.terminate()
        measured(
            f"case 16: read-only after {MIDDLE} mails; two daemons send by the other host {seconds:.2f} s after its "
            f"promotion; lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )


async def test_case_17_a_synchronous_standby_is_promoted(start_daemon: StartDaemon, measured: Measured) -> None:
    async with replicating() as pair, Sink(keep_content=False) as sink:
        # given a daemon in the middle of its work
        daemon = start_daemon(pair.dsn, sink.port, **LIMITS)
        await daemon.ready()
        jobs = await insert(pair.owner, MAILS)
        await eventually(lambda: len(sink.mails) >= MIDDLE, "mails flow")

        # when its server is gone from one moment to the next, and the standby is promoted
        pair.primary.kill()
        killed, sent = time.monotonic(), len(sink.mails)
        await pair.standby.promote()
        promoted = time.monotonic() - killed

        # then it goes on with that
        await eventually(lambda: len(sink.mails) > sent + STILL_ON_THEIR_WAY, "mails flow again", BACK_SECONDS)
        seconds = time.monotonic() - killed
        owner = await _connected(pair.standby, pair.database)
        await all_sent(owner, jobs)
        done = time.monotonic() - killed
        found = await hold(owner, sink, jobs, Bound(), daemon)
        owner.terminate()
        measured(
            f"case 17: primary killed after {MIDDLE} mails, standby promoted within {promoted:.2f} s, mails flow again "
            f"{seconds:.2f} s after the kill, all {MAILS} out after {done:.2f} s; lost 0, sent twice {found.twice}, attempts spent {found.attempts}"
        )


async def _connected(cluster: Cluster, database: str) -> Any:
    return await asyncpg.connect(cluster.dsn(database), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
