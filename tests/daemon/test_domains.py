"""A daemon learns the group of a domain that it writes to, for the mails after, and is kept from nothing by it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailworkers.daemon.domains import WARNING, lookup_of_domains, noted_by
from mailworkers.daemon.vitals import Vitals
from mailworkers.db.pool import Database
from mailworkers.destinations import table
from mailworkers.settings import Settings
from tests.support.dns_server import DnsServer
from tests.support.jobs import insert, made_up
from tests.support.running import running_daemon
from tests.support.sink import Sink
from tests.support.waiting import eventually

SOON_SECONDS = 2.0  # for a mail, on a busy machine; far below what a silent name server costs whoever waits for it


@pytest.fixture
def relayed(settings: Settings) -> Settings:
    return settings.model_copy(update={"smtp_host": "127.0.0.1"})


def asking(settings: Settings, sink: Sink, server: DnsServer) -> Settings:
    host, port = server.address
    return settings.model_copy(update={"smtp_port": sink.port, "mx_resolver": f"{host}:{port}"})


async def test_later_mails_get_the_group_that_was_learned(
    relayed: Settings, database: Database, app_connection: Any
) -> None:
    """Given a domain whose mail Google takes, when a first mail goes there, then it goes out, and the next is in the group."""
    group = "SELECT destination_group FROM mailworkers.email_jobs WHERE id = $1"

    async with DnsServer() as server, Sink() as sink:
        server.records["firm.example"] = ["1 smtp.google.com."]
        async with running_daemon(asking(relayed, sink, server)):
            await insert(app_connection, to_email="ann@firm.example")

            async def learned() -> bool:
                return (await table.find(database.claims, "firm.example")).found == "mx"

            await eventually(learned, "the domain is learned")
            await eventually(lambda: len(sink.mails) == 1, "the mail goes out")
            (later,) = await insert(
                app_connection, to_email="bob@firm.example", scheduled_at=datetime.now(UTC) + timedelta(days=1)
            )
            async with database.claims.connection("reading") as connection:
                assert await connection.fetchval(group, later) == "google"
        assert server.asked == ["firm.example"]


async def test_a_silent_name_server_delays_no_mail(relayed: Settings, app_connection: Any) -> None:
    async with DnsServer() as server, Sink() as sink:
        names = [f"firm{n}.example" for n in range(30)]
        server.records = dict.fromkeys(names)
        async with running_daemon(asking(relayed, sink, server)):
            await insert(app_connection, to_email="ann@firm0.example")
            await eventually(lambda: bool(server.asked), "the name server is asked")
            began = time.monotonic()
            for name in names:
                await insert(app_connection, to_email=f"ann@{name}")
            await eventually(lambda: len(sink.mails) == 31, "all mails go out")
            assert time.monotonic() - began < SOON_SECONDS


def test_where_nobody_is_to_be_asked_nothing_is_noted(settings: Settings, database: Database) -> None:
    assert lookup_of_domains(settings, database, Vitals()) is None
    assert noted_by(None) is None


async def test_silence_shows_on_the_health_page(settings: Settings, database: Database) -> None:
    async with DnsServer() as server:
        server.records["firm.example"] = None
        vitals = Vitals()
        host, port = server.address
        looks = lookup_of_domains(settings.model_copy(update={"mx_resolver": f"{host}:{port}"}), database, vitals)
        assert looks is not None
        looks._records._seconds = 0.2  # type: ignore[attr-defined]
        noted = noted_by(looks)
        assert noted is not None

        noted([made_up(1, to_email="ann@firm.example")])
        await looks.step()

    assert "check MX_RESOLVER" in vitals.warnings[WARNING]
