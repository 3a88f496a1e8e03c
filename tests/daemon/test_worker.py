"""Workers of a whole daemon where the relay refuses what it had taken, or is not there at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mailworkers.daemon.heartbeat import Heartbeat
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


async def until_quit(talk: Talk, reply: Callable[[int], Awaitable[str]]) -> None:
    """Take mails, each answered with the reply to its number, until the other side says QUIT."""
    number = 0
    while (await talk.reader.readuntil(b"\n")).startswith(b"MAIL"):
        await talk.send("250 2.1.0 ok")
        await talk.expect("RCPT")
        await talk.send("250 2.1.5 ok")
        await talk.expect("DATA")
        await talk.send("354 go on")
        await talk.content()
        await talk.send(await reply(number))
        number += 1
    await talk.send("221 2.0.0 bye")


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


@pytest.mark.one_loop
@pytest.mark.parametrize(("offer", "most"), [("8BITMIME", 1), ("PIPELINING", 3)])
async def test_a_policy_that_begins_in_the_middle_costs_no_more_mails_than_are_under_way(
    settings: Settings, app_connection: Any, offer: str, most: int
) -> None:
    # given a fast relay that has taken so many that others stand in line, and refuses all from then on
    async def answer(number: int) -> str:
        return "250 2.0.0 taken" if number < MAILS else "550 5.7.1 the sender is blocked by policy"

    async def block(talk: Talk) -> None:
        await talk.greet(offer)
        await until_quit(talk, answer)

    async with HostileServer(block) as relay, running_daemon(to(settings, relay.port)):
        await insert(app_connection, MAILS * 2)

        async def counts() -> dict[str, int]:
            rows = await app_connection.fetch(
                "SELECT status, count(*) AS n FROM mailworkers.email_job_status GROUP BY status"
            )
            return {row["status"]: row["n"] for row in rows}

        async def resting() -> bool:
            now = await counts()
            return now.get("failed", 0) > 0 and set(now) <= {"sent", "failed", "waiting"}

        # then the others wait; jobs of a claim that was under way have found it out once more
        await eventually(resting, "the lane rests")
        assert (await counts())["failed"] <= 2 * most


@pytest.mark.one_loop
async def test_what_stands_in_line_does_not_leave_after_the_lease_was_lost(
    settings: Settings, app_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a fast relay that stalls while mails stand in line
    stalled, go_on = asyncio.Event(), asyncio.Event()
    taken: list[int] = []

    async def answer(number: int) -> str:
        taken.append(number)
        if number == MAILS:
            stalled.set()
            await go_on.wait()
        return "250 2.0.0 taken"

    async def stall(talk: Talk) -> None:
        await talk.greet("8BITMIME")
        await until_quit(talk, answer)

    hearts: list[Heartbeat] = []
    made = Heartbeat.__init__

    def keep(self: Heartbeat, *args: Any) -> None:
        made(self, *args)
        hearts.append(self)

    monkeypatch.setattr(Heartbeat, "__init__", keep)
    async with HostileServer(stall) as relay, running_daemon(to(settings, relay.port)):
        await insert(app_connection, MAILS * 2)
        async with asyncio.timeout(10):
            await stalled.wait()
        held = len(taken)

        # when the lease is lost, and found to be so, before the relay goes on
        [heart] = hearts
        monkeypatch.setattr(Heartbeat, "holds", property(lambda _self: False))
        heart._lose()
        go_on.set()

        # then all that stood in line has come back, and none of it has left
        async def given_back() -> bool:
            under_way = "SELECT count(*) FROM mailworkers.email_job_status WHERE status = 'sending'"
            return bool(await app_connection.fetchval(under_way) == 0)

        await eventually(given_back, "nothing is under way")
        assert len(taken) == held
