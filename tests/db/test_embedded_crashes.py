"""What dies, and what is found afterwards: kill -9 of every part, files that lie about processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.embedded import User, answers, ask, data_folder, gone, keeper_of, kept, postmaster
from tests.support.waiting import wait_until

Starting = Callable[..., User]
DURABLE: Mapping[str, str] = {}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


def test_a_killed_postmaster_is_started_again_under_its_users(home: Path, user: Starting) -> None:
    # Given a committed row, and a user who stays
    staying = user(settings=DURABLE)
    dsn = staying.dsn()
    ask(dsn, "CREATE TABLE kept AS SELECT 42 AS value")
    killed = postmaster(home)

    # When the server is killed
    os.kill(killed, signal.SIGKILL)

    # Then the same address answers again with the row, and nobody had to do anything
    wait_until(lambda: answers(dsn, "SELECT value FROM kept", 42), "the server is back", seconds=30)
    assert postmaster(home) != killed
    staying.leave()
    assert not kept(home)


def test_a_user_who_comes_after_the_postmaster_was_killed_gets_a_server(home: Path, user: Starting) -> None:
    staying = user()
    staying.dsn()
    os.kill(postmaster(home), signal.SIGKILL)
    coming = user()
    assert coming.dsn()
    staying.leave()
    coming.leave()
    assert not kept(home)


@LINUX
def test_a_killed_keeper_takes_the_server_along(home: Path, user: Starting) -> None:
    staying = user()
    staying.dsn()
    pid = postmaster(home)

    os.kill(keeper_of(home), signal.SIGKILL)

    wait_until(lambda: gone(pid), "the server ended")
    coming = user()
    assert coming.dsn()
    staying.leave()
    coming.leave()
    assert not kept(home)


@LINUX
def test_kill_9_of_everything_but_the_server(home: Path, user: Starting) -> None:
    # As `killall -9 python` would.
    using = user()
    using.dsn()
    pid, keeper = postmaster(home), keeper_of(home)
    os.kill(keeper, signal.SIGKILL)
    using.kill()
    wait_until(lambda: gone(pid), "the server ended")


def test_an_orphaned_server_is_ended_before_another_starts(home: Path, user: Starting) -> None:
    # Given a server that is home in the scheduler, so that it cannot follow when its keeper and user are killed
    using = user(settings=DURABLE)
    ask(using.dsn(), "CREATE TABLE kept AS SELECT 42 AS value")
    orphan, keeper = postmaster(home), keeper_of(home)
    os.kill(orphan, signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    using.kill()

    # When somebody starts, and the orphan goes on
    coming = user(settings=DURABLE)
    wait_until(lambda: kept(home), "a new keeper waits for the orphan's end")
    os.kill(orphan, signal.SIGCONT)

    # Then there is one server, with the row
    assert ask(coming.dsn(), "SELECT value FROM kept") == 42
    wait_until(lambda: gone(orphan), "the orphan ended")
    coming.leave()


@pytest.mark.parametrize("killed_at", ["data.new-*", "data.new-*/base/1", "data-*", "data-*/postmaster.pid"])
def test_kill_9_during_the_first_start(new_home: Path, user: Starting, killed_at: str) -> None:
    starting = user(settings=DURABLE)
    wait_until(lambda: any(new_home.glob(killed_at)), killed_at)

    starting.kill()

    coming = user(settings=DURABLE)
    assert ask(coming.dsn(), "SELECT current_database()") == "mailworkers"
    assert data_folder(new_home).name.startswith("data-")
    coming.leave()
    assert not kept(new_home)


@pytest.fixture
def living(home: Path) -> Iterator[int]:
    """The pid of a living process of the server's account that is no PostgreSQL."""
    owner = data_folder(home).stat()
    ids = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid}
    with subprocess.Popen(["tail", "-f", "/dev/null"], cwd="/", **ids) as process:  # type: ignore[call-overload]
        yield process.pid
        process.kill()


@pytest.fixture
def zombie(home: Path) -> Iterator[int]:
    """The pid of a process of the server's account that ended and was not reaped."""
    owner = data_folder(home).stat()
    ids = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid}
    with subprocess.Popen(["true"], cwd="/", **ids) as process:  # type: ignore[call-overload]
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


def forge(home: Path, pid: int) -> None:
    """Both files in which PostgreSQL notes its pid, as a crashed server would have left them."""
    data, sockets = data_folder(home), home / "socket"
    sockets.mkdir(mode=0o700, exist_ok=True)
    lines = [str(pid), str(data), "1", "5432", str(sockets)]
    (data / "postmaster.pid").write_text("\n".join([*lines, "", "  1 1", "ready   ", ""]))
    (sockets / ".s.PGSQL.5432").touch()
    (sockets / ".s.PGSQL.5432.lock").write_text("\n".join([*lines, ""]))
    for path in (sockets, *sockets.iterdir(), data / "postmaster.pid"):
        os.chown(path, data.stat().st_uid, data.stat().st_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("whose", ["living", "zombie"])
def test_pid_files_that_name_another_process_are_not_believed(
    home: Path, user: Starting, whose: str, request: pytest.FixtureRequest
) -> None:
    pid = request.getfixturevalue(whose)
    forge(home, pid)

    coming = user()

    assert ask(coming.dsn(), "SELECT 1") == 1
    assert postmaster(home) != pid
    os.kill(pid, 0)  # and that process was left alone
    coming.leave()


def test_pid_files_with_nonsense_do_not_hinder_a_start(home: Path, user: Starting) -> None:
    pid_file = data_folder(home) / "postmaster.pid"
    for content in ("", "\n", "not a number\n", "99999999\n", "-1\n", "0\n"):
        pid_file.write_text(content)
        os.chown(pid_file, data_folder(home).stat().st_uid, -1)
        coming = user()
        assert ask(coming.dsn(), "SELECT 1") == 1
        coming.leave()
