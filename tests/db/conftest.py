"""Homes for embedded servers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.embedded import User, kept
from tests.support.waiting import wait_until


@pytest.fixture
def home() -> Iterator[Path]:
    """A home for a server, removed when the server has ended. Not below a private folder, as `tmp_path` is for root."""
    folder = Path(tempfile.mkdtemp(prefix="mailworkers-test-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "home"
    for lock in folder.rglob("keeper.lock"):
        wait_until(lambda at=lock.parent: not kept(at), "the test's server ended")  # type: ignore[misc]
    shutil.rmtree(folder)


@pytest.fixture
def user(home: Path) -> Iterator[Callable[..., User]]:
    """Starts users of the server in `home`, and ends those that the test leaves."""
    users: list[User] = []

    def start(where: Path = home, **options: Any) -> User:
        users.append(User(where, **options))
        return users[-1]

    yield start
    for one in users:
        one.close()
