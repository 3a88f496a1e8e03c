"""The parts of the embedded server that need no server."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from mailworkers.db.embedded.configuration import DEFAULTS, rendered
from mailworkers.db.embedded.failures import explained, told_clearly
from mailworkers.db.embedded.home import SOCKET_FOLDER_BYTES, Home
from mailworkers.db.embedded.locks import lock, opened, try_lock
from mailworkers.errors import EmbeddedServerError

INITDB_WITHOUT_ROOM = """\
running bootstrap script ... 2026-01-01 00:00:00 UTC [7] FATAL:  could not extend file "base/1/2691": wrote only 4096
2026-01-01 00:00:00 UTC [7] HINT:  Check free disk space.
2026-01-01 00:00:00 UTC [7] PANIC:  cannot abort transaction 1, it was already committed
child process exited with exit code 134
"""


def test_a_configuration_quotes_values_and_the_list_of_folders_in_it(tmp_path: Path) -> None:
    sockets = Path("""/a, b/it's "here" \\ """)
    lines = rendered({"application_name": "it's"}, tmp_path / "data-18", sockets).splitlines()
    assert "include 'data-18/postgresql.conf'" in lines
    assert "application_name = 'it''s'" in lines
    assert r"""unix_socket_directories = '"/a, b/it''s ""here"" \\ "'""" in lines


def test_a_setting_given_replaces_ours(tmp_path: Path) -> None:
    lines = rendered({"fsync": "off"}, tmp_path, tmp_path).splitlines()
    assert "fsync = 'off'" in lines
    assert "fsync = 'on'" not in lines
    assert DEFAULTS["fsync"] == "on"


def test_the_socket_lies_in_the_home_where_its_path_fits() -> None:
    fits = Path("/" + "x" * (SOCKET_FOLDER_BYTES - len("/") - len("/socket")))
    assert Home(fits).sockets == fits / "socket"
    for unfit in (Path(f"{fits}x"), Path("/a,b"), Path("/ü")):
        assert Home(unfit).sockets.parent == Path("/tmp")


def test_each_home_has_a_mark_of_its_own() -> None:
    assert Home(Path("/a")).mark == Home(Path("/a")).mark != Home(Path("/b")).mark


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("LOG:  starting\nFATAL:  first cause\nFATAL:  second\n", "it failed: first cause"),
        ("initdb: error: could not access it\n", "it failed: could not access it"),
        ("postgres: could not find the database system\n", "it failed: could not find the database system"),
        ("something else\nlast words\n\n", "it failed: last words"),
        ("", "it failed: it gave no reason"),
    ],
)
def test_a_failed_program_is_told_by_its_first_telling_line(tmp_path: Path, output: str, message: str) -> None:
    error = explained("it failed", output, tmp_path, tmp_path / "server.log")
    assert error.message == message
    assert str(tmp_path / "server.log") in error.hint


@pytest.mark.parametrize("output", [INITDB_WITHOUT_ROOM, "PANIC:  could not write: No space left on device"])
def test_a_program_that_failed_for_want_of_room_is_told_as_that(tmp_path: Path, output: str) -> None:
    assert explained("it failed", output, tmp_path, tmp_path / "log").message.startswith("no room left on the disk")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no room left on the disk"),
        (errno.EDQUOT, "no room left on the disk"),
        (errno.EROFS, "cannot use /x: Read-only file system"),
        (errno.EACCES, "cannot use /x: Permission denied"),
    ],
)
def test_what_the_operating_system_refuses_is_told_in_one_line(number: int, said: str) -> None:
    with pytest.raises(EmbeddedServerError, match=said), told_clearly(Path("/home-of-server")):
        raise OSError(number, os.strerror(number), "/x")


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "no room left on the disk"), (errno.EACCES, "Permission denied")]
)
def test_what_hinders_a_copy_of_binaries_is_told_in_one_line(tmp_path: Path, number: int, said: str) -> None:
    def hindered(_source: str, target: str) -> None:
        raise OSError(number, os.strerror(number), target)

    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("initdb", "postgres"):
        (binaries / name).touch()

    with pytest.raises(EmbeddedServerError) as refused, told_clearly(tmp_path):
        shutil.copytree(binaries, tmp_path / "copy", copy_function=hindered)

    assert said in str(refused.value)
    assert "initdb" not in str(refused.value) or "postgres'" not in str(refused.value), "one file is enough"


def test_a_lock_that_is_held_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    with opened(tmp_path / "lock") as first, opened(tmp_path / "lock") as second:
        lock(first, fcntl.LOCK_EX, 1, "nobody")
        with pytest.raises(EmbeddedServerError, match="waited 0 s for the other"):
            lock(second, fcntl.LOCK_SH, 0, "the other")
    with opened(tmp_path / "lock") as third:
        assert try_lock(third, fcntl.LOCK_EX), "closing a lock's file drops the lock"
