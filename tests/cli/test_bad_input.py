"""What is wrong with the database, a port or a right: one clear line that says what to do, a code, no traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.cli.conftest import Command, Sql
from tests.support.program import mailworkers


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def replaced(dsn: str, user: str | None = None, database: str | None = None) -> str:
    """The same server, with another user (`name:password`) or database."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{user}@{host}" if user else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}" if database else parts.path))


def assert_one_line(code: int, err: str, expected: int, *words: str) -> None:
    assert code == expected, err
    assert err.startswith("mailworkers: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_no_database_there(command: Command) -> None:
    ended = command("status", "--database-url", "postgresql://me:secret@127.0.0.1:1/mail")

    assert_one_line(ended.code, ended.err, 69, "found no database", "Check that PostgreSQL runs")
    assert "secret" not in ended.err


@pytest.mark.parametrize("url", ["postgresql://me:se@nowhere.invalid/mail", "postgresql://me:topse/cret@127.0.0.1:1/x"])
def test_a_host_that_is_none_may_be_a_part_of_the_password(command: Command, url: str) -> None:
    ended = command("status", "--database-url", url)

    assert ended.code in (69, 77)
    assert_one_line(ended.code, ended.err, ended.code, "in the password is written %40, %2F or %3A")
    assert "topse" not in ended.err


def test_a_wrong_password(command: Command, database_url: str, sql: Sql) -> None:
    user = str(sql("SELECT current_user"))

    ended = command("status", "--database-url", replaced(database_url, user=f"{user}:wrong"))

    if ended.code == 0:
        pytest.skip("this server lets anybody in")
    assert_one_line(ended.code, ended.err, 77, "password", "Check the password in DATABASE_URL")


def test_no_such_database(command: Command, database_url: str) -> None:
    ended = command("status", "--database-url", replaced(database_url, database="nowhere"))

    assert_one_line(ended.code, ended.err, 77, "nowhere", "Create the database")


def test_missing_rights(command: Command, database_url: str, sql: Sql) -> None:
    role = f"powerless_{urlsplit(database_url).path.strip('/')}"
    sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        for arguments, needed in (
            (("jobs", "list"), "mailworkers_readonly"),
            (("status",), "mailworkers_readonly"),
            (
                ("send", "--to", "ann@a.example", "--subject", "x", "--text", "x"),
                "mailworkers_app, mailworkers_readonly",
            ),
            (("jobs", "cancel", "1"), "mailworkers_worker"),
        ):
            ended = command(*arguments, "--database-url", replaced(database_url, user=f"{role}:secret"))
            assert_one_line(ended.code, ended.err, 77, "permission denied", f"GRANT {needed} TO user")
            sql(f"GRANT {needed} TO {role}")
            ended = command(*arguments, "--database-url", replaced(database_url, user=f"{role}:secret"))
            assert ended.code != 77, ended.err
            sql(f"REVOKE {needed} FROM {role}")
    finally:
        sql(f"DROP ROLE {role}")


def test_a_port_in_use(database_url: str, taken_port: int) -> None:
    ended = mailworkers("run", "--http-port", str(taken_port), "--log-level", "ERROR", DATABASE_URL=database_url)

    assert_one_line(ended.returncode, ended.stderr, 69, str(taken_port), "MAILWORKERS_HTTP_PORT")


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    ended = mailworkers("status", MAILWORKERS_DATA_DIR=str(tmp_path / "file" / "home"))

    assert ended.returncode == 69
    first, second = ended.stderr.splitlines()
    assert first == "mailworkers: no database given: using the embedded server"
    assert second.startswith("mailworkers: ")


def test_a_settings_file_with_a_typing_error(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("smtp_host = relay.example\n")

    ended = command("status", "--config", str(file))

    assert_one_line(ended.code, ended.err, 78)


def test_uvloop_where_it_is_missing(on_database: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKERS_EVENT_LOOP", "uvloop")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    ended = on_database("status")

    assert_one_line(ended.code, ended.err, 78, "uvloop, which is not installed", "Install uvloop")
