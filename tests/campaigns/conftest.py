"""A connection of the owner's, and leads to write to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    """A connection that may read and change everything."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=30)
    yield connection
    await connection.close(timeout=10)
