"""What is wrong before a daemon starts: one clear line that says what to do, an exit code, no traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.acceptance.conftest import login
from tests.support.daemon import free_port
from tests.support.program import mailworkers

MOUNT_SECONDS = 30.0
EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG = 69, 77, 78


def assert_refused(code: int, *words: str, **variables: object) -> None:
    """`mailworkers run` with these settings ends with `code` and one line that holds `words`; besides, it may log."""
    settings: dict[str, Any] = {f"MAILWORKERS_{name}": str(value) for name, value in variables.items()}
    ended = mailworkers("run", **{"MAILWORKERS_HTTP_PORT": "0", "MAILWORKERS_LOG_FORMAT": "json"} | settings)
    said = [line for line in (ended.stdout + ended.stderr).splitlines() if not _is_logged(line)]
    said = [line for line in said if line != "mailworkers: no database given: using the embedded server"]
    assert (len(said), ended.returncode) == (1, code), ended.stdout + ended.stderr
    assert said[0].startswith("mailworkers: ")
    for word in words:
        assert word in said[0]


def _is_logged(line: str) -> bool:
    """Whether it is a line of the log below ERROR: what happened until then."""
    if not line.startswith("{"):
        return False
    entry: dict[str, Any] = json.loads(line)
    assert entry["level"] in ("debug", "info", "warning"), line
    assert "exception" not in entry, line
    return True


def replaced(dsn: str, user: str) -> str:
    """The same database as another user (`name:password`)."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


def test_no_database_there() -> None:
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/mail"
    assert_refused(EX_UNAVAILABLE, "found no database", "Check that PostgreSQL runs", DATABASE_URL=url)


async def test_a_wrong_password(owner: Any, database_url: str) -> None:
    async with login(owner, database_url, "IN ROLE mailworkers_worker") as url:
        wrong = replaced(database_url, f"{urlsplit(url).username}:wrong")
        assert_refused(EX_NOPERM, "password authentication failed", "Check the password", DATABASE_URL=wrong)


async def test_missing_rights(owner: Any, database_url: str) -> None:
    async with login(owner, database_url) as url:
        assert_refused(EX_NOPERM, "permission denied", "GRANT mailworkers_worker", DATABASE_URL=url)


def test_no_schema(blank_database_url: str) -> None:
    assert_refused(EX_CONFIG, "mailworkers migrate", DATABASE_URL=blank_database_url)


async def test_an_older_schema(owner: Any, database_url: str) -> None:
    await owner.execute(
        "DELETE FROM mailworkers.schema_migrations "
        "WHERE version = (SELECT max(version) FROM mailworkers.schema_migrations)"
    )
    assert_refused(EX_CONFIG, "schema", "mailworkers migrate", DATABASE_URL=database_url)


async def test_a_newer_schema(owner: Any, database_url: str) -> None:
    columns = "version, name, checksum"
    await owner.execute(
        f"INSERT INTO mailworkers.schema_migrations ({columns}) SELECT 9999, 'from tomorrow', checksum "
        "FROM mailworkers.schema_migrations LIMIT 1"
    )
    assert_refused(EX_CONFIG, "9999", "newer", "Install the newer mailworkers", DATABASE_URL=database_url)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("MAX_WORKERS", "many", "MAILWORKERS_MAX_WORKERS"),
        ("SMTP_PORT", "99999", "MAILWORKERS_SMTP_PORT"),
        ("SMTP_TLS", "perhaps", "MAILWORKERS_SMTP_TLS"),
        ("FROM_EMAIL", "nobody", "MAILWORKERS_FROM_EMAIL"),
        ("DATABASE_URL", "mysql://localhost/mail", "MAILWORKERS_DATABASE_URL"),
        ("HTTP_HOST", "0.0.0.0", "API_KEY"),
    ],
)
def test_a_malformed_setting(name: str, value: str, why: str) -> None:
    assert_refused(EX_CONFIG, why, **{name: value})


def test_a_port_in_use(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_refused(EX_UNAVAILABLE, str(port), "HTTP_PORT", DATABASE_URL=database_url, HTTP_PORT=port)


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A disk of its own, on which there is room for next to nothing."""
    # Not below pytest's private folder, which the server's account could not enter.
    with tempfile.TemporaryDirectory(prefix="mailworkers-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        disk = Path(folder) / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=711", "mailworkers-test", str(disk)]
        subprocess.run(command, check=True, timeout=MOUNT_SECONDS)
        try:
            yield disk
        finally:
            subprocess.run(["umount", str(disk)], check=True, timeout=MOUNT_SECONDS)


@pytest.mark.mount
def test_a_full_disk_for_the_embedded_server(full_disk: Path) -> None:
    assert_refused(EX_UNAVAILABLE, "no room left on the disk", "Free about", DATA_DIR=full_disk)
