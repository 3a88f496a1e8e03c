"""All checks, one after the other, each bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from mailworkers.db.connect import database_url
from mailworkers.db.embedded import default_home
from mailworkers.doctor.database import check_database
from mailworkers.doctor.dns import Resolver, TxtRecords
from mailworkers.doctor.finding import Finding, fail
from mailworkers.doctor.host import check_host
from mailworkers.doctor.relay import check_relay
from mailworkers.doctor.sender import check_sender
from mailworkers.errors import DatabaseError
from mailworkers.settings import Settings

NEXT_FINDING_SECONDS = 60.0  # more than any check takes with its own time-outs: a hung one is a finding too


async def examine(
    settings: Settings, dkim_selector: str | None = None, dns: TxtRecords | None = None
) -> AsyncIterator[Finding]:
    """Look at everything. Never raises for what is wrong with it, and sends no mail.

    Args:
        settings: what would be used.
        dkim_selector: the name of the DKIM key to look for.
        dns: whom to ask for records instead of the system's name servers.
    """
    for part in (
        _database(settings),
        check_relay(settings),
        check_sender(settings, dns or Resolver(), dkim_selector),
        _host(settings),
    ):
        async for finding in _bounded(part):
            yield finding


async def _bounded(part: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    while True:
        try:
            async with asyncio.timeout(NEXT_FINDING_SECONDS):
                finding = await anext(part)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield fail("time", f"a check hung for {NEXT_FINDING_SECONDS:.0f} s", "Run it again with --debug")
            return
        yield finding


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with database_url(settings) as dsn:
            async for finding in check_database(settings, dsn):
                yield finding
    except DatabaseError as problem:
        yield fail("database", problem.message, problem.hint)


async def _host(settings: Settings) -> AsyncIterator[Finding]:
    embedded = settings.database_url is None
    for finding in check_host(settings, (settings.data_dir or default_home()) if embedded else None):
        yield finding
