"""The process that keeps the server: starts it, starts it again after a crash, ends it with its last user.

It runs as a script in a Python of its own, isolated from any environment, so it imports the standard library only. The
server is its child: it needs no pid file to know it, leaves no zombie of it, and takes it along if it is killed itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

READY = b"ready\n"
START_SECONDS = 240.0  # a start after a crash first repeats up to `max_wal_size` of WAL
RESTART_SECONDS = 1.0  # before a crashed server is started again
POLL_SECONDS = 0.01
STATUS_LINE = 7  # of postmaster.pid, from 0: PostgreSQL's LOCK_FILE_LINE_PM_STATUS
PR_SET_PDEATHSIG = 1  # prctl(2)
# How to end a server, and how long each may take: fast (a checkpoint), immediate (recovery later), by force.
ENDING = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the keeper needs to know.

    Args:
        users_lock: path of the lock that users share.
        data: the data directory.
        sockets: the socket's folder.
        command: the server's command line.
        mark: tells this home's server processes from all others; comes into their command lines as `cluster_name`.
        uid: who the server runs as.
        gid: its group.
        switched: whether that differs from who the keeper is.
        environment: the server's.
    """

    users_lock: str
    data: str
    sockets: str
    command: list[str]
    mark: str
    uid: int
    gid: int
    switched: bool
    environment: dict[str, str]

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Keeper:
    """Three states: starting, up (and starting again as often as it takes), over."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._launching = threading.Lock()
        self._over = threading.Event()
        self._ended = threading.Event()
        self._server: subprocess.Popen[bytes] | None = None

    def run(self, report_ready: Callable[[], None]) -> int:
        """Keep the server until its last user is gone. Returns 1 where it could not be started at all."""
        threading.Thread(target=self._end_with_last_user, daemon=True).start()
        server = self._launch()
        if server is None or not self._becomes_ready(server):
            self._ended.set()
            return 1
        report_ready()
        while server is not None:
            server.wait()
            server = None if self._over.wait(RESTART_SECONDS) else self._launch()
        self._ended.set()
        with contextlib.suppress(OSError):
            Path(self._plan.sockets).rmdir()
        return 0

    def _launch(self) -> subprocess.Popen[bytes] | None:
        end_survivors(self._plan)
        with self._launching:
            if self._over.is_set():
                return None
            self._server = launch(self._plan)
            return self._server

    def _becomes_ready(self, server: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            pid, status = read_pid_file(self._plan.data)
            if pid == server.pid and status == "ready":
                return True
            time.sleep(POLL_SECONDS)
        if server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        return False

    def _end_with_last_user(self) -> None:
        users = os.open(self._plan.users_lock, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(users, fcntl.LOCK_EX)  # granted when nobody holds it any more; kept until this process ends
        with self._launching:
            self._over.set()
        for number, seconds in ENDING:
            if self._server is not None:
                self._server.send_signal(number)
            if self._ended.wait(seconds):
                return


def launch(plan: Plan) -> subprocess.Popen[bytes]:
    """Start the server process as a child that the kernel ends with us."""
    options: dict[str, Any] = {"user": plan.uid, "group": plan.gid, "extra_groups": []} if plan.switched else {}
    keeper = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def end_with_keeper() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != keeper:
                os._exit(1)

    return subprocess.Popen(  # noqa: S603
        [*plan.command, "-c", _marked(plan)],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,  # the server's log
        cwd="/",
        umask=0o077,
        env=plan.environment,
        preexec_fn=end_with_keeper,  # noqa: PLW1509 -- the other thread only ever waits in the kernel, and holds no lock
        **options,
    )


def read_pid_file(data: str) -> tuple[int, str]:
    """The pid and the status in `postmaster.pid`; 0 and nothing where it cannot be read."""
    try:
        lines = Path(data, "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        return int(lines[0]), lines[STATUS_LINE].strip()
    except (OSError, ValueError, IndexError):
        return 0, ""


def end_survivors(plan: Plan) -> None:
    """End what an earlier server left running, and remove the files that would make the next one refuse to start.

    Nobody keeps the server when this runs. Its pid file is not believed: the pid may be another program's by now. But
    as long as any process of the old server lives, its files must stay, for two servers on one data directory ruin it.
    """
    for number, seconds in ENDING:
        survivors = server_processes(plan)
        if survivors is None:
            return  # processes cannot be listed here: PostgreSQL decides by its own means
        for pid, is_postmaster in survivors.items():
            if is_postmaster or number != signal.SIGINT:  # to other processes of a server SIGINT means something else
                _signal(pid, number)
        deadline = time.monotonic() + seconds
        while survivors and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            survivors = server_processes(plan)
        if not survivors:
            break
    else:
        return
    Path(plan.data, "postmaster.pid").unlink(missing_ok=True)
    for socket in Path(plan.sockets).glob(".s.PGSQL.*"):
        socket.unlink(missing_ok=True)


def server_processes(plan: Plan) -> dict[int, bool] | None:
    """The living processes of this home's server: pid → whether it was started as a postmaster. None: cannot tell.

    They are known by the mark in their command lines, which needs no right to look into another user's process. A
    zombie has no command line.
    """
    listed = _from_proc() if Path("/proc/self/cmdline").exists() else _from_ps()
    if listed is None:
        return None
    postmaster, child = _marked(plan).encode(), f"postgres: {plan.mark}: ".encode()
    return {
        pid: not command.startswith(child)
        for pid, uid, command in listed
        if uid == plan.uid & 0xFFFFFFFF and (command.startswith(child) or postmaster in command)
    }


def _marked(plan: Plan) -> str:
    return f"cluster_name={plan.mark}"


def _from_proc() -> list[tuple[int, int, bytes]]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            found.append((int(entry.name), entry.stat().st_uid, command))
    return found


def _from_ps() -> list[tuple[int, int, bytes]] | None:
    try:
        out = subprocess.run(
            ["ps", "-axww", "-o", "pid=,uid=,command="],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    rows = (line.split(None, 2) for line in out.splitlines())
    return [(int(row[0]), int(row[1]) & 0xFFFFFFFF, row[2]) for row in rows if len(row) == 3]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def report_ready() -> None:
    """Tell the starter, which may be gone already, and let go of its pipe."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, READY)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def main() -> None:
    """Leave the starter at once, then keep the server."""
    plan = Plan(**json.loads(sys.argv[1]))
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Only the last user's end ends us. A handler, since an ignored signal would stay ignored in the server.
        signal.signal(number, lambda *_: None)

    sys.exit(Keeper(plan).run(report_ready))


if __name__ == "__main__":
    main()
