"""Workers of a whole daemon where the relay refuses what it had taken, or is not there at the end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mailworkers.settings import Settings
from tests.support.daemon import free_port
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

SOON_SECONDS = 2.0


def to(settings: Settings, port: int, **changes: Any) -> Settings:
    one_worker = {"min_workers": 1, "max_workers": 1}
    return settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, **one_worker, **changes})


async def refuse_at_mail(talk: Talk) -> None:
    """The connection stays: 530 is about our standing, not about this conversation."""
    await talk.greet("8BITMIME")
    await talk.expect("MAIL")
    await talk.send("530 5.7.0 authenticate first")
    await talk.until_gone()


async def take_one(talk: Talk) -> None:
    await talk.greet("8BITMIME")
    await talk.mail()


@pytest.mark.one_loop
async def test_a_relay_that_shut_the_gate_on_a_kept_connection_is_tried_on_a_new_one(
    settings: Settings, app_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.daemon.relay_gate.PERSON_REST_SECONDS", 0.1)
    monkeypatch.setattr("mailworkers.daemon.outcomes.DOWN_SECONDS", 0.1)
    async with (
        HostileServer(refuse_at_mail, take_one) as relay,
        running_daemon(to(settings, relay.port)) as running,
    ):
        await insert(app_connection)
        await eventually(lambda: running.vitals.relay_problem is not None, "the gate is shut")
        await eventually(lambda: running.vitals.relay_problem is None, "the gate is open again")

        async def sent() -> bool:
            return bool(
                await app_connection.fetchval("SELECT count(*) FROM mailworkers.email_job_status WHERE status = 'sent'")
            )

        await eventually(sent, "the mail has gone")
        assert len(relay.talks) == 2


async def test_a_daemon_whose_relay_is_down_waits_for_nothing_at_its_end(
    settings: Settings, app_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworkers.daemon.relay_gate.FIRST_REST_SECONDS", 60.0)
    async with running_daemon(to(settings, free_port(), drain_seconds=10.0)) as running:
        await insert(app_connection)
        await eventually(lambda: running.vitals.relay_problem is not None, "the relay is found to be down")
        ends = time.monotonic()
    assert time.monotonic() - ends < SOON_SECONDS
