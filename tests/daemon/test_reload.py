"""SIGHUP: new settings hold for what waits, too."""

from __future__ import annotations

import asyncio

import pytest

from mailworkers.daemon.assembly import assemble
from mailworkers.daemon.freeze import FreezeWatch
from mailworkers.daemon.metrics import Metrics
from mailworkers.daemon.preparing import Prepared
from mailworkers.daemon.supervisor import Life
from mailworkers.db.pool import Database
from mailworkers.settings import Settings
from mailworkers.transports import transport_for
from tests.support.jobs import made_up


async def test_a_reload_changes_the_sender_of_mails_that_wait(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given mails composed ahead of their turn, when FROM_EMAIL changes and SIGHUP comes, then they are composed anew."""
    monkeypatch.setenv("MAILWORKERS_FROM_EMAIL", "new@example.org")
    async with asyncio.TaskGroup() as tasks:
        daemon = assemble(settings, database, transport_for(settings), Metrics(), tasks)
        life = Life(daemon, tasks, FreezeWatch(daemon.heartbeat, lambda: 0))
        daemon.buffer.put([made_up(number) for number in range(2)])
        for sender in ("sender@example.org", "new@example.org"):
            job = daemon.buffer.take()
            assert job is not None
            mail = await daemon.preparing.prepare(job)
            assert isinstance(mail, Prepared)
            assert mail.mail.envelope.mail_from == sender
            life._reload()
