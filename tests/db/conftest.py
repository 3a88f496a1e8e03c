"""Homes for embedded servers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailworkers.db.embedded import EmbeddedServer
from tests.support.embedded import THROWN_AWAY, User, kept
from tests.support.waiting import wait_until

COPY_SECONDS = 60.0


@pytest.fixture
def new_home() -> Iterator[Path]:
    """Where a home may be made; removed when the server there has ended.

    Not in `tmp_path`, which lies below a private folder: for root, the server is somebody else who could not enter it.
    """
    folder = Path(tempfile.mkdtemp(prefix="mailworkers-test-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "home"
    for lock in folder.rglob("keeper.lock"):
        wait_until(lambda at=lock.parent: not kept(at), "the test's server ended")  # type: ignore[misc]
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def made_home() -> Iterator[Path]:
    """A home whose server ran and was stopped, to be copied: making one takes most of a test's time."""
    with tempfile.TemporaryDirectory(prefix="mailworkers-test-", dir="/tmp") as folder:
        server = EmbeddedServer(Path(folder), THROWN_AWAY)
        server.start()
        server.stop()
        yield Path(folder)


@pytest.fixture
def home(new_home: Path, made_home: Path) -> Path:
    """A home whose server ran before and does not run now."""
    subprocess.run(["cp", "-a", made_home, new_home], check=True, timeout=COPY_SECONDS)
    return new_home


@pytest.fixture
def user(new_home: Path) -> Iterator[Callable[..., User]]:
    """Starts users of the server in the test's home, and ends those that the test leaves."""
    users: list[User] = []

    def start(**options: Any) -> User:
        users.append(User(new_home, **options))
        return users[-1]

    yield start
    for one in users:
        one.close()
