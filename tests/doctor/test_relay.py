"""The relay, looked at without sending anything."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from mailworkers.doctor import relay
from mailworkers.doctor.finding import Level
from mailworkers.doctor.relay import Offers, certificate, check_relay, extensions
from mailworkers.settings import Settings
from tests.doctor.conftest import collect
from tests.support.certificates import Certificates
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk


def to(port: int, **more: object) -> Settings:
    return Settings.model_validate({"smtp_host": "127.0.0.1", "smtp_port": port, **more})


async def test_a_good_relay_over_starttls_with_a_login(certificates: Certificates) -> None:
    async with Sink(tls=certificates.good, credentials={"me": "secret"}) as sink:
        settings = to(
            sink.port, smtp_tls="required", smtp_ca_file=certificates.authority, smtp_user="me", smtp_password="secret"
        )
        found = await collect(check_relay(settings))

    assert {name: finding.level for name, finding in found.items()} == {
        "relay": Level.OK, "certificate": Level.WARN, "relay offers": Level.OK,
    }  # fmt: skip
    assert "ends in" in found["certificate"].sentence
    assert "PIPELINING, CHUNKING" in found["relay offers"].sentence
    assert not sink.mails
    assert not sink.commands["MAIL"]


async def test_tls_from_the_first_byte(certificates: Certificates) -> None:
    async with Sink(tls=certificates.good, implicit=True) as sink:
        found = await collect(check_relay(to(sink.port, smtp_tls="implicit", smtp_ca_file=certificates.authority)))

    assert found["relay"].level is Level.OK
    assert "certificate" in found


async def test_a_certificate_that_nobody_trusts(certificates: Certificates) -> None:
    async with Sink(tls=certificates.good) as sink:
        found = await collect(check_relay(to(sink.port, smtp_tls="required")))

    assert list(found) == ["relay"]
    assert found["relay"].level is Level.FAIL
    assert "certificate" in found["relay"].sentence


async def test_a_login_that_is_refused(certificates: Certificates) -> None:
    async with Sink(credentials={"me": "secret"}) as sink:
        found = await collect(check_relay(to(sink.port, smtp_user="me", smtp_password=SecretStr("pa55word"))))

    assert found["relay"].level is Level.FAIL
    assert "pa55word" not in found["relay"].sentence + found["relay"].advice


async def test_nobody_there() -> None:
    found = await collect(check_relay(to(1)))

    assert found["relay"].level is Level.FAIL
    assert "127.0.0.1:1" in found["relay"].sentence
    assert "SMTP_HOST" in found["relay"].advice


async def test_a_relay_that_never_greets_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(talk: Talk) -> None:
        await talk.until_gone()

    monkeypatch.setattr(relay, "NEGOTIATION_SECONDS", 0.2)
    async with HostileServer(silent) as server:
        found = await collect(check_relay(to(server.port)))

    assert found["relay"].level is Level.FAIL
    assert "did not greet" in found["relay"].sentence


def test_what_a_certificates_age_means() -> None:
    assert certificate(60).level is Level.OK
    assert certificate(3).level is Level.WARN


def test_what_offers_mean() -> None:
    assert extensions(Offers({"pipelining", "8bitmime"}, "50000000", None)).sentence.endswith("mails up to 50 MB")
    assert extensions(Offers({"8bitmime"}, "", None)).level is Level.WARN
