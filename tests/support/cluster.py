"""A PostgreSQL server that a test may restart, stop in any way and freeze: plain `initdb` and `postgres`, on TCP only.

And a standby of it, which may be promoted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from mailworkers.db.embedded.account import account_for
from mailworkers.db.embedded.binaries import choose, reachable
from mailworkers.db.embedded.home import Home
from mailworkers.db.migrate import migrate
from tests.support.daemon import free_port
from tests.support.waiting import eventually, wait_until

SUPERUSER = "owner"
STANDBY = "standby"  # by which name the primary knows it
CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 60.0
START_SECONDS = 60.0  # initdb on a machine that does much else
STOP_SECONDS = 30.0
# `fsync` off: a stopped process loses nothing that it wrote, only a stopped machine does.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "100",
    "log_min_messages": "warning",
}
FAST = signal.SIGINT
IMMEDIATE = signal.SIGQUIT


class Cluster:
    """One server.

    Args:
        folder: its home, which the server's account must be able to reach.
        settings: over those of `SETTINGS`.
        data: its data directory, where that is not in `folder`.
        wal: where the write-ahead log goes, where that is not in the data directory.
        standby_of: a server that has not been started yet. This one begins as its copy, and follows it.
        variables: of the server's environment.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Path | None = None,
        wal: Path | None = None,
        standby_of: Cluster | None = None,
        variables: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self.port = free_port()
        self.account = account_for(None)
        self._data = data or folder / "data"
        self._log = folder / "log"
        self._settings = {**SETTINGS, "port": str(self.port), **settings}
        self._variables = dict(variables or {})
        home = Home.at(folder)
        self._bin = reachable(choose(home), self.account, home).bin
        self._process: subprocess.Popen[bytes] | None = None
        if standby_of is not None:
            self._copy(standby_of)
            return
        if data is None:
            self._data.mkdir()
            self.account.own(self._data)
        waldir = [] if wal is None else ["--waldir", str(wal)]
        subprocess.run(
            [
                self._bin / "initdb",
                "-D",
                self._data,
                "-U",
                SUPERUSER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
                *waldir,
            ],
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
            **self.account.run_options(),
        )

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, port: int | None = None) -> str:
        """How to reach it, through another port where one is given."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended since."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start, and wait until it answers."""
        self._launch()
        await eventually(self.answers, "PostgreSQL answers", START_SECONDS)

    async def answers(self) -> bool:
        """Whether it takes connections."""
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=CONNECT_SECONDS)
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close(timeout=CONNECT_SECONDS)
        return True

    async def database(self) -> str:
        """The name of a new database with the schema in it."""
        name = f"letters_{secrets.token_hex(4)}"
        connection = await asyncpg.connect(self.dsn(), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
        await migrate(self.dsn(name))
        return name

    async def promote(self) -> None:
        """Make a standby the server to write to, and wait until it is."""
        connection = await asyncpg.connect(self.dsn(), timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        try:
            assert await connection.fetchval("SELECT pg_promote(true, $1)", int(START_SECONDS))
        finally:
            await connection.close(timeout=CONNECT_SECONDS)

    async def stop(self, how: signal.Signals = FAST) -> None:
        """Stop as `pg_ctl stop -m fast` or `-m immediate` do, and wait for the end."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            await eventually(lambda: process.poll() is not None, "PostgreSQL ends", STOP_SECONDS)

    def processes(self) -> list[int]:
        """The server's processes, its first one leading."""
        assert self._process is not None
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    def freeze(self) -> None:
        """SIGSTOP to all of them: connections stay, and say nothing. The first goes first, so that it starts no more."""
        os.kill(self.processes()[0], signal.SIGSTOP)
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9 to all of its processes, as when its machine is switched off."""
        process, self._process = self._process, None
        assert process is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        for pid in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)

    def close(self) -> None:
        """End it, in whatever state it is."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            self._process = process
            self.thaw()
            self._process = None
            process.send_signal(IMMEDIATE)
            wait_until(lambda: process.poll() is not None, "PostgreSQL ends", STOP_SECONDS)

    def _copy(self, primary: Cluster) -> None:
        assert not primary.running
        shutil.copytree(primary._data, self._data)
        (self._data / "standby.signal").touch()
        for path in (self._data, *self._data.rglob("*")):
            self.account.own(path)
        self._data.chmod(0o700)
        self._settings["primary_conninfo"] = (
            f"host=127.0.0.1 port={primary.port} user={SUPERUSER} application_name={STANDBY} sslmode=disable"
        )

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
            run_options = self.account.run_options()
            run_options["env"] = {**run_options["env"], **self._variables}
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                **run_options,
            )

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):  # a server's process may end between two looks
                os.kill(pid, number)


@contextmanager
def cluster_folder() -> Iterator[Path]:
    """A folder that the server's account can reach, which pytest's private ones are not for root's."""
    folder = Path(tempfile.mkdtemp(prefix="mailworkers-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
