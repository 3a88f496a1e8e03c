"""Lists of contacts as files, and looks at what became of them."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support import hypothesis_profiles

hypothesis_profiles.load()

CONNECT_SECONDS = 10.0

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("email", ["ann@a.example"])` makes a CSV file of a header and rows."""

    def made(*rows: list[str] | tuple[str, ...], name: str = "list.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        with path.open("w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return made


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    """A connection that may do everything."""
    connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    yield connection
    await connection.close(timeout=CONNECT_SECONDS)
