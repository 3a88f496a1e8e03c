"""Users of an embedded server as processes of their own, which can be killed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from mailworkers.db.embedded import EmbeddedServer
from mailworkers.db.embedded.keeper import read_pid_file
from mailworkers.db.embedded.locks import opened, try_lock

REPOSITORY = Path(__file__).parents[2]
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # initdb on a machine that does much else
THROWN_AWAY = {"fsync": "off"}  # for a server whose data no test looks at twice

# Says what start() gave, or the error; leaves when told to by the end of its input. An interrupt is noted, as a daemon
# that drains would.
_PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from mailworkers.db.embedded import EmbeddedServer
from mailworkers.errors import MailworkersError

def say(**what):
    os.write(1, json.dumps(what).encode() + b"\\n")

home, settings, ignoring = json.loads(sys.argv[1])
if ignoring:
    signal.signal(signal.SIGINT, lambda *_: say(interrupted=True))
server = EmbeddedServer(Path(home), settings)
try:
    say(dsn=server.start())
except MailworkersError as error:
    say(message=error.message, hint=error.hint)
    sys.exit(error.exit_code)
sys.stdin.read()
server.stop()
"""


class User:
    """A process that starts or joins the server of `home`.

    Args:
        home: the server's home.
        settings: of the server.
        python: the interpreter; `as_account` may need another one.
        as_account: the account to run it as; takes root.
        ignoring_interrupts: whether it goes on after Ctrl-C.
        prefix: a command that runs it.
        first_on_path: a folder to import from before all others.
        environment: variables to add.
    """

    def __init__(
        self,
        home: Path,
        settings: Mapping[str, str] = THROWN_AWAY,
        *,
        python: str = sys.executable,
        as_account: pwd.struct_passwd | None = None,
        ignoring_interrupts: bool = False,
        prefix: Sequence[str] = (),
        first_on_path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        first = [] if first_on_path is None else [str(first_on_path)]
        path = os.pathsep.join([*first, str(REPOSITORY), *wheel_folders()])
        options: dict[str, Any] = {}
        if as_account is not None:
            options = {"user": as_account.pw_uid, "group": as_account.pw_gid, "extra_groups": []}
        self.process = subprocess.Popen(
            [*prefix, python, "-c", _PROGRAM, json.dumps([str(home), dict(settings), ignoring_interrupts])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **(environment or {})},
            cwd="/",
            start_new_session=True,
            **options,
        )

    def says(self) -> dict[str, Any]:
        """The next thing it tells."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], ANSWER_SECONDS)
        assert readable, "the user of the server said nothing"
        line = self.process.stdout.readline()
        assert line, f"the user of the server ended with {self.process.wait(ANSWER_SECONDS)}"
        said: dict[str, Any] = json.loads(line)
        return said

    def dsn(self) -> str:
        """What start() gave."""
        said = self.says()
        assert "dsn" in said, said
        return str(said["dsn"])

    def leave(self) -> None:
        """Have it call stop(), and wait for its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(ANSWER_SECONDS) == 0
        self.close()

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(ANSWER_SECONDS)
        self.close()

    def interrupt(self) -> None:
        """Ctrl-C at its terminal: to the whole group of processes."""
        os.killpg(self.process.pid, signal.SIGINT)

    def close(self) -> None:
        """End it if it still runs, and close its pipes."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(ANSWER_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def running(home: Path, settings: Mapping[str, str] = THROWN_AWAY) -> Iterator[str]:
    """The DSN of the server of `home`, used by this process as long as the block runs."""
    server = EmbeddedServer(home, settings)
    try:
        yield server.start()
    finally:
        server.stop()


def ask(dsn: str, question: str) -> object:
    """The answer to a question in SQL, over a connection of its own."""
    return asyncio.run(_ask(dsn, question))


def answers(dsn: str, question: str = "SELECT 1", expected: object = 1) -> bool:
    """Whether the server is up, and says what is expected."""
    try:
        return ask(dsn, question) == expected
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False


async def _ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


def gone(pid: int) -> bool:
    """Whether no process has that pid, not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


def kept(home: Path) -> bool:
    """Whether a keeper lives for the server of `home`."""
    with opened(home / "keeper.lock") as descriptor:
        return not try_lock(descriptor, fcntl.LOCK_EX)


def data_folder(home: Path) -> Path:
    """The one data directory of `home`."""
    (data,) = home.glob("data-*")
    return data


def postmaster(home: Path) -> int:
    """The pid of the server's first process."""
    return read_pid_file(str(data_folder(home)))[0]


def keeper_of(home: Path) -> int:
    """The pid of the keeper: the server's parent."""
    status = Path(f"/proc/{postmaster(home)}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def wheel_folders() -> list[str]:
    """Where the wheels with PostgreSQL are installed for this Python."""
    return [folder for folder in sys.path if any(Path(folder).glob("*_postgres/pginstall"))]


def python_for(account: pwd.struct_passwd) -> str | None:
    """A Python, 3.11 or newer, that `account` can run together with this repository. None where there is none."""
    check = f"import sys, os; sys.exit(not (sys.version_info >= (3, 11) and os.access({str(REPOSITORY / 'mailworkers')!r}, os.R_OK)))"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3", shutil.which("python3")):
        if python is not None:
            try:
                ran = subprocess.run(
                    [python, "-I", "-c", check],
                    user=account.pw_uid,
                    group=account.pw_gid,
                    extra_groups=[],
                    cwd="/",
                    timeout=ANSWER_SECONDS,
                    check=False,
                )
            except OSError:
                continue
            if ran.returncode == 0:
                return python
    return None
