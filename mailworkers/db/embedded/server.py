"""The embedded server's life as its users see it: start() gives a DSN, stop() leaves."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import quote

from mailworkers.db.embedded import keeper
from mailworkers.db.embedded.account import refuse_foreign
from mailworkers.db.embedded.boot import boot
from mailworkers.db.embedded.cluster import DATABASE, SUPERUSER
from mailworkers.db.embedded.configuration import PORT
from mailworkers.db.embedded.failures import OTHER_DATABASE, told_clearly
from mailworkers.db.embedded.home import Home
from mailworkers.db.embedded.locks import POLL_SECONDS, lock, open_lock, opened, try_lock
from mailworkers.errors import EmbeddedServerError

START_SECONDS = keeper.START_SECONDS + 60.0  # that, and making the data directory before
STOP_SECONDS = sum(seconds for _, seconds in keeper.ENDING)
ANSWER_SECONDS = 5.0  # a server's socket accepts at once, or never


class EmbeddedServer:
    """One user's share in the server of a home. Calls block: use `asyncio.to_thread`, or `embedded_server`.

    Args:
        home: the folder for data, socket, password and log. Made if need be; it must belong to this user.
        settings: PostgreSQL settings that differ from ours. They count where this user is the one to start the server.
    """

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self._given_home = home
        self._settings = dict(settings or {})
        self._users: int | None = None
        self._dsn = ""

    def start(self) -> str:
        """Join the server of this home, starting it if nobody has. Returns its DSN, which carries a password.

        The socket's folder stands in the DSN as a percent-encoded host: asyncpg, libpq and pydantic all take that form.

        Raises:
            EmbeddedServerError: it cannot be started; the hint says what to do.
        """
        if self._users is not None:
            return self._dsn
        with told_clearly(self._given_home):
            home = Home.at(self._given_home)
            home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_foreign(home.path)
            with opened(home.start_lock) as starting:
                lock(starting, fcntl.LOCK_EX, START_SECONDS, f"another start in {home.path}")
                users = open_lock(home.users_lock)
                try:
                    lock(users, fcntl.LOCK_SH, STOP_SECONDS, f"the server in {home.path} to end")
                    _join(home, self._settings)
                    self._dsn = _dsn(home)
                except BaseException:
                    os.close(users)  # the keeper, if there is one already, sees that nobody is left
                    raise
                self._users = users
        return self._dsn

    def stop(self) -> None:
        """Leave. Returns when the server has ended if this was its last user, at once if others remain.

        Raises:
            EmbeddedServerError: it did not end in time. This user has left all the same.
        """
        if self._users is None:
            return
        users, self._users = self._users, None
        home = Home.at(self._given_home)
        try:
            with told_clearly(home.path), contextlib.suppress(FileNotFoundError):  # the whole home was removed
                _leave(home, users)
        finally:
            os.close(users)


@contextlib.asynccontextmanager
async def embedded_server(home: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The DSN of the server of `home`, as long as the block runs.

    Cancelling waits for a start under way, so that no server is left behind.

    Raises:
        EmbeddedServerError: as `EmbeddedServer.start`.
    """
    server = EmbeddedServer(home, settings)
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    try:
        yield await asyncio.shield(starting)
    finally:
        await asyncio.wait({starting})
        await asyncio.shield(asyncio.to_thread(server.stop))


def is_up(home: Path) -> bool:
    """Whether the server of `home` answers now. Blocks for `ANSWER_SECONDS` at most; changes nothing."""
    try:
        return _answers(Home.at(home))
    except OSError:  # no home yet, or one that cannot be read: starting it says what is wrong
        return False


def _join(home: Home, settings: Mapping[str, str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with opened(home.keeper_lock) as kept:
            if try_lock(kept, fcntl.LOCK_EX):
                boot(home, settings, kept)
                return
        # Somebody keeps the server. It may be starting again after a crash, or may never have had time to become ready.
        if _answers(home):
            return
        if time.monotonic() >= deadline:
            raise EmbeddedServerError(
                f"the embedded server in {home.path} is not ready after {START_SECONDS:.0f} s",
                f"Look into {home.log}, or {OTHER_DATABASE}",
            )
        time.sleep(POLL_SECONDS)


def _answers(home: Home) -> bool:
    """Whether the server is ready: what its pid file says counts only together with its socket."""
    majors = home.majors()
    if not majors or keeper.read_pid_file(str(home.data(majors[0])))[1] != "ready":
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(str(home.sockets / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def _leave(home: Home, users: int) -> None:
    with opened(home.start_lock) as starting:
        lock(starting, fcntl.LOCK_EX, START_SECONDS, f"another start in {home.path}")
        if not try_lock(users, fcntl.LOCK_EX):
            # Other users have it, or the keeper was faster; in that case this is granted when the server has ended.
            lock(users, fcntl.LOCK_SH, STOP_SECONDS, f"the server in {home.path} to end")
            return
        fcntl.flock(users, fcntl.LOCK_UN)
        with opened(home.keeper_lock) as kept:
            lock(kept, fcntl.LOCK_EX, STOP_SECONDS, f"the server in {home.path} to end")


def _dsn(home: Home) -> str:
    password = quote(home.password.read_text(encoding="utf-8"), safe="")
    return f"postgresql://{SUPERUSER}:{password}@{quote(str(home.sockets), safe='')}:{PORT}/{DATABASE}"
