"""All checks together: each finding arrives, a hung check is a finding, and the command's exit code follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mailworkers.doctor import examination
from mailworkers.doctor.dns import Resolver
from mailworkers.doctor.examination import examine
from mailworkers.doctor.finding import Finding, Level, ok
from mailworkers.settings import Settings
from tests.doctor.conftest import collect
from tests.support.dns_server import DnsServer
from tests.support.program import mailworkers
from tests.support.sink import Sink


@pytest.mark.usefixtures("public_test_domain")
async def test_everything_is_looked_at(settings: Settings, name_server: DnsServer) -> None:
    name_server.records = {"firm.test": []}
    async with Sink() as sink:
        wanted = settings.model_copy(update={"smtp_port": sink.port, "from_email": "me@firm.test"})
        found = await collect(examine(wanted, None, Resolver([name_server.address], seconds=0.3)))

    assert {"schema", "relay", "relay offers", "SPF", "DMARC", "open files"} <= set(found)
    assert name_server.asked[0] == "firm.test"


async def test_a_check_that_hangs_does_not_hang_the_rest(
    settings: Settings, name_server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hung(_: Settings) -> AsyncIterator[Finding]:
        yield ok("relay", "so far so good")
        await asyncio.Event().wait()

    monkeypatch.setattr(examination, "check_relay", hung)
    monkeypatch.setattr(examination, "NEXT_FINDING_SECONDS", 1.0)

    found = await collect(examine(settings, None, Resolver([name_server.address], seconds=0.1)))

    assert found["time"].level is Level.FAIL
    assert "open files" in found, "the checks after it were made"


def test_the_command_fails_where_mail_could_not_go_out(database_url: str) -> None:
    ended = mailworkers("doctor", "--smtp-host", "127.0.0.1", "--smtp-port", "1", DATABASE_URL=database_url)

    assert ended.returncode == 1
    assert "✗ relay" in ended.stdout
    assert "→ Check MAILWORKERS_SMTP_HOST" in ended.stdout
    assert ended.stderr == ""
