"""Workers of a whole daemon where the relay refuses what it had taken, or is not there at the end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mailworkers.daemon.outcomes import CLOSING_SECONDS, JITTER
from mailworkers.settings import Settings
from tests.support.daemon import free_port
from tests.support.jobs import insert
from tests.support.running import running_daemon
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually

SOON_SECONDS = 2.0
MAILS, MAILS_A_CONNECTION = 60, 6


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


@pytest.mark.one_loop
async def test_mails_in_line_behind_one_that_a_relay_closed_under_are_not_put_off(
    settings: Settings, app_connection: Any
) -> None:
    # given a fast relay that closes each connection after so many mails that others stand in line
    async def take_some(talk: Talk) -> None:
        await talk.greet("PIPELINING")
        for _ in range(MAILS_A_CONNECTION):
            await talk.mail()
        talk.vanish()

    scripts = [take_some] * (MAILS // MAILS_A_CONNECTION + 5)
    async with HostileServer(*scripts) as relay, running_daemon(to(settings, relay.port)):
        # when many mails go through it
        await insert(app_connection, MAILS)

        async def sent() -> bool:
            ended = "SELECT count(*) FROM mailworkers.email_job_status WHERE status = 'sent'"
            return bool(await app_connection.fetchval(ended) == MAILS)

        # then each has gone on one of the next connections, long before it would be if it had been put off
        began = time.monotonic()
        await eventually(sent, "all have gone")
        assert time.monotonic() - began < CLOSING_SECONDS * (1 - JITTER)
