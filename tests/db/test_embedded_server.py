"""One user and its server: what start() gives, what stop() leaves."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess
from pathlib import Path

import asyncpg
import pytest
from pydantic import PostgresDsn, TypeAdapter

from mailworkers.db.embedded import EmbeddedServer, embedded_server
from mailworkers.db.embedded.binaries import choose
from mailworkers.db.embedded.home import Home
from mailworkers.settings import Settings
from tests.support.embedded import THROWN_AWAY, ask, data_folder, kept, postmaster, running
from tests.support.waiting import eventually

AWKWARD_NAMES = (
    "with 'single' and \"double\" quotes",
    "$HOME $(date) `id` ;&|",
    "back\\slash %20 @:/?#",
    "comma, separated",
    "ünïcödé",
    "long-" * 20,
)


def test_gives_a_database_that_keeps_its_rows_over_a_restart(home: Path) -> None:
    # Given a row committed on a first run
    with running(home, {}) as dsn:
        ask(dsn, "CREATE TABLE kept AS SELECT 42 AS value")

    # When the server ends and is started again
    assert not kept(home)
    with running(home, {}) as again:
        # Then the row is there, under the same address and password
        assert ask(again, "SELECT value FROM kept") == 42
        assert again == dsn


def test_the_database_is_named_as_the_program_and_encoded_in_utf8(new_home: Path) -> None:
    with running(new_home) as dsn:
        assert ask(dsn, "SELECT current_database()") == "mailworkers"
        assert ask(dsn, "SHOW server_encoding") == "UTF8"
        assert ask(dsn, "SHOW data_checksums") == "on"


def test_commits_are_durable_and_no_network_is_listened_on(home: Path) -> None:
    with running(home, {}) as dsn:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert ask(dsn, f"SHOW {name}") == "on"
        assert ask(dsn, "SHOW listen_addresses") == ""


def test_settings_given_win_over_ours_and_alter_system_wins_over_both(home: Path) -> None:
    with running(home, {**THROWN_AWAY, "work_mem": "7MB", "application_name": "it's"}) as dsn:
        assert ask(dsn, "SHOW work_mem") == "7MB"
        assert ask(dsn, "SHOW autovacuum_naptime") == "10s"
        ask(dsn, "ALTER SYSTEM SET work_mem = '9MB'")
    with running(home, {"work_mem": "7MB"}) as dsn:
        assert ask(dsn, "SHOW work_mem") == "9MB"


def test_the_address_fits_settings_pydantic_and_psql(home: Path) -> None:
    with running(home) as dsn:
        psql = choose(Home.at(home)).bin / "psql"
        assert TypeAdapter(PostgresDsn).validate_python(dsn)
        assert Settings(database_url=dsn).database_url is not None
        command = [psql if psql.exists() else "psql", "--no-psqlrc", "-Atc", "SELECT 1", dsn]
        told = subprocess.run(command, capture_output=True, timeout=30, check=False, text=True)
        assert (told.stdout, told.stderr) == ("1\n", "")


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_any_folder_will_do(new_home: Path, name: str) -> None:
    with running(new_home / name) as dsn:
        assert ask(dsn, "SELECT 1") == 1
    assert not Home.at(new_home / name).sockets.exists()


def test_two_names_of_one_folder_are_one_server(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    with running(home) as direct, running(link) as linked:
        assert direct == linked


def test_socket_password_and_data_are_private(new_home: Path) -> None:
    with running(new_home):
        for private in ("socket", "password", "start.lock", data_folder(new_home).name, "server.log"):
            mode = stat.S_IMODE((new_home / private).stat().st_mode)
            assert not mode & 0o077, f"{private} has mode {mode:o}"


def test_a_wrong_password_is_refused(home: Path) -> None:
    with running(home) as dsn:
        password = (home / "password").read_text()
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(dsn.replace(password, "guessed"), "SELECT 1")


def test_what_clients_do_wrong_stays_out_of_the_log(home: Path) -> None:
    with running(home) as dsn:
        ask(dsn, "CREATE TABLE mails (address text CHECK (address LIKE '%@%'))")
        with pytest.raises(asyncpg.CheckViolationError):
            ask(dsn, "INSERT INTO mails VALUES ('secret-of-ann')")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            ask(dsn, "SELECT 'secret-of-ann'::integer")
    assert "secret-of-ann" not in (home / "server.log").read_text()


def test_start_and_stop_may_be_called_again(home: Path) -> None:
    server = EmbeddedServer(home, THROWN_AWAY)
    server.stop()
    assert server.start() == server.start()
    server.stop()
    server.stop()
    assert not kept(home)
    assert server.start()
    server.stop()


def test_stop_after_the_whole_home_was_removed(home: Path) -> None:
    server = EmbeddedServer(home, THROWN_AWAY)
    server.start()
    shutil.rmtree(home)
    server.stop()


async def test_the_asynchronous_form_serves_as_long_as_its_block_runs(home: Path) -> None:
    async with embedded_server(home, THROWN_AWAY) as dsn:
        connection = await asyncpg.connect(dsn, timeout=10, command_timeout=10)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close(timeout=10)
    assert not kept(home)


async def test_cancelling_a_start_leaves_no_server_behind(new_home: Path) -> None:
    async def use() -> None:
        async with embedded_server(new_home, THROWN_AWAY):
            raise AssertionError("cancelled before")

    # Given a start that is making the data directory
    using = asyncio.create_task(use())
    await eventually(lambda: any(new_home.glob("data.new-*")), "the data directory is being made")

    # When it is cancelled
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using

    # Then the server has come and gone
    assert not kept(new_home)
    assert postmaster(new_home) == 0
