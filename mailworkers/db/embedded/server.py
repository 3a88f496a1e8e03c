"""The embedded server's life as its users see it: start() gives a DSN, stop() leaves."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from mailworkers.db.embedded import keeper
from mailworkers.db.embedded.account import Account, account_for, program_environment
from mailworkers.db.embedded.binaries import choose, reachable
from mailworkers.db.embedded.cluster import DATABASE, SUPERUSER, make_data
from mailworkers.db.embedded.configuration import PORT, rendered
from mailworkers.db.embedded.failures import OTHER_DATABASE, OTHER_HOME, explained, told_clearly
from mailworkers.db.embedded.home import Home
from mailworkers.db.embedded.locks import POLL_SECONDS, lock, open_lock, opened, try_lock
from mailworkers.errors import EmbeddedServerError

START_SECONDS = keeper.START_SECONDS + 60.0  # that, and making the data directory before
STOP_SECONDS = sum(seconds for _, seconds in keeper.ENDING)
ANSWER_SECONDS = 5.0  # a server's socket accepts at once, or never
LOG_BYTES = 10 * 1024 * 1024  # the log begins anew at a start when it is larger; one older log is kept


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

        The DSN's form, with the socket's folder as a percent-encoded host, is one that asyncpg, libpq and pydantic take.

        Raises:
            EmbeddedServerError: it cannot be started; the hint says what to do.
        """
        if self._users is not None:
            return self._dsn
        with told_clearly(self._given_home):
            home = Home.at(self._given_home)
            _prepare(home)
            with opened(home.start_lock) as starting:
                lock(starting, fcntl.LOCK_EX, START_SECONDS, f"another start in {home.path}")
                users = open_lock(home.users_lock)
                try:
                    lock(users, fcntl.LOCK_SH, STOP_SECONDS, f"the server in {home.path} to end")
                    self._join(home)
                    self._dsn = _dsn(home)
                except BaseException:
                    os.close(users)  # the keeper, if there is one already, sees that nobody is left
                    raise
                self._users = users
        return self._dsn

    def stop(self) -> None:
        """Leave. Returns when the server has ended if this was its last user, at once if others remain."""
        if self._users is None:
            return
        users, self._users = self._users, None
        home = Home.at(self._given_home)
        try:
            with told_clearly(home.path), opened(home.start_lock) as starting:
                lock(starting, fcntl.LOCK_EX, START_SECONDS, f"another start in {home.path}")
                if not try_lock(users, fcntl.LOCK_EX):
                    # Others have it, or the keeper was faster: in that case this is granted when it has ended.
                    lock(users, fcntl.LOCK_SH, STOP_SECONDS, f"the server in {home.path} to end")
                    return
                fcntl.flock(users, fcntl.LOCK_UN)
                with opened(home.keeper_lock) as kept:
                    lock(kept, fcntl.LOCK_EX, STOP_SECONDS, f"the server in {home.path} to end")
        finally:
            os.close(users)

    def _join(self, home: Home) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._started(home):
            if time.monotonic() >= deadline:
                raise EmbeddedServerError(
                    f"the embedded server in {home.path} is not ready after {START_SECONDS:.0f} s",
                    f"Look into {home.log}, or {OTHER_DATABASE}",
                )
            time.sleep(POLL_SECONDS)

    def _started(self, home: Home) -> bool:
        """Whether the server is there; starts it where nobody keeps one. False: another keeper is about to."""
        with opened(home.keeper_lock) as kept:
            if try_lock(kept, fcntl.LOCK_EX):
                self._boot(home, kept)
                return True
        return _answers(home)

    def _boot(self, home: Home, kept: int) -> None:
        majors = home.majors()
        account = account_for(home.path, home.data(majors[0]) if majors else None)
        _check_reach(home, account)
        installation = reachable(choose(home), account, home)
        _make_sockets(home, account)
        if not majors:
            make_data(home, installation, account, durable=self._settings.get("fsync", "on") == "on")
        data = home.data(installation.major)
        home.configuration.write_text(rendered(self._settings, home.sockets), encoding="utf-8")
        home.configuration.chmod(0o644)  # holds no secret; the account must read it
        plan = keeper.Plan(
            users_lock=str(home.users_lock),
            data=str(data),
            sockets=str(home.sockets),
            command=[str(installation.bin / "postgres"), "-D", str(data)],
            mark=home.mark,
            uid=account.uid,
            gid=account.gid,
            switched=account.switched,
            environment=program_environment(),
        )
        _start_keeper(home, plan, kept)


@asynccontextmanager
async def embedded_server(home: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The DSN of the server of `home`, as long as the block runs.

    Cancelling waits for a start under way, so that no server is left behind.

    Raises:
        EmbeddedServerError: as `EmbeddedServer.start`.
    """
    server = EmbeddedServer(home, settings)
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        yield await asyncio.shield(starting)
    finally:
        await asyncio.wait({starting})
        await asyncio.shield(asyncio.to_thread(server.stop))


def _prepare(home: Home) -> None:
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.path.stat().st_uid != os.geteuid():
        account_for(home.path, None)  # says whose it is


def _check_reach(home: Home, account: Account) -> None:
    if account.switched:
        home.path.chmod(0o711)  # entered, not listed; every file in it has its own rights
    if not account.can("-x", home.path):
        raise EmbeddedServerError(
            f"the embedded server runs as {account.name}, who cannot enter {home.path}",
            f"Choose a folder outside of private ones with MAILWORKERS_DATA_DIR, or {OTHER_DATABASE}",
        )


def _make_sockets(home: Home, account: Account) -> None:
    sockets = home.sockets
    sockets.mkdir(mode=0o700, exist_ok=True)
    if sockets.is_symlink() or sockets.stat().st_uid not in (os.geteuid(), account.uid):
        raise EmbeddedServerError(f"{sockets} belongs to somebody else", f"Remove it, or {OTHER_HOME}")
    account.own(sockets)
    sockets.chmod(0o700)


def _start_keeper(home: Home, plan: keeper.Plan, kept: int) -> None:
    if home.log.exists() and home.log.stat().st_size > LOG_BYTES:
        home.log.replace(home.log.with_suffix(".log.1"))
    with home.log.open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", keeper.__file__, plan.to_json()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=program_environment(),
            pass_fds=(kept,),  # the keeper holds that lock from its first moment on
            start_new_session=True,  # no terminal's Ctrl-C reaches the server
        )
    with process:  # ends at once: the keeper is its child
        ready = _first_line(process)
    if ready != keeper.READY:
        with home.log.open("rb") as log:
            log.seek(begin)
            raise explained(
                "the embedded server did not start", log.read().decode(errors="replace"), home.path, home.log
            )


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    return process.stdout.readline() if readable else b""


def _answers(home: Home) -> bool:
    """Whether a server is ready: its own word counts only with its socket's."""
    if not any(keeper.read_pid_file(str(home.data(major)))[1] == "ready" for major in home.majors()[:1]):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(str(home.sockets / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def _dsn(home: Home) -> str:
    password = quote(home.password.read_text(encoding="utf-8"), safe="")
    return f"postgresql://{SUPERUSER}:{password}@{quote(str(home.sockets), safe='')}:{PORT}/{DATABASE}"
