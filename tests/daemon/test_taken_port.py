"""A daemon whose health page cannot listen."""

from __future__ import annotations

import asyncpg
import pytest

from mailworkers.daemon.supervisor import run
from mailworkers.errors import PortInUse
from mailworkers.settings import Settings


async def test_a_taken_port_ends_it_before_it_has_a_lease(settings: Settings, database_url: str) -> None:
    class Taken:
        async def start(self) -> None:
            raise PortInUse("the health page's port is taken")

        async def stop(self) -> None:
            pass

    assert settings.database_url is not None
    with pytest.raises(PortInUse):
        await run(settings, settings.database_url.get_secret_value(), make_page=lambda *_: Taken())

    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    try:
        assert await connection.fetchval("SELECT count(*) FROM mailworkers.email_daemons") == 0
    finally:
        await connection.close(timeout=10)
