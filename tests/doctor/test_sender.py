"""The sender's records, asked for over real DNS on loopback, and judged by their RFCs."""

from __future__ import annotations

import pytest

from mailworkers.destinations.exchanges import NotAnswered
from mailworkers.doctor.dns import Resolver
from mailworkers.doctor.finding import Level
from mailworkers.doctor.sender import check_sender, dkim, dmarc, spf
from mailworkers.settings import Settings
from tests.doctor.conftest import collect
from tests.support.dns_server import DnsServer

SETTINGS = Settings(from_email="letter@mail.firm.test")
GOOD: dict[str, list[str] | None] = {
    "mail.firm.test": ["google-site=1", "v=spf1 include:relay.test ~all"],
    "m1._domainkey.mail.firm.test": ["v=DKIM1; k=rsa; |p=MIGfMA0G"],
    "_dmarc.firm.test": ["v=DMARC1; p=quarantine"],
}


def resolver(server: DnsServer) -> Resolver:
    return Resolver([server.address], seconds=0.3)


@pytest.mark.usefixtures("public_test_domain")
async def test_a_well_kept_domain(name_server: DnsServer) -> None:
    name_server.records = dict(GOOD)

    found = await collect(check_sender(SETTINGS, resolver(name_server), "m1"))

    assert {finding.level for finding in found.values()} == {Level.OK}
    assert set(found) == {"SPF", "DKIM", "DMARC"}
    assert "policy quarantine" in found["DMARC"].sentence, "that of the organization's domain above"


@pytest.mark.usefixtures("public_test_domain")
async def test_a_domain_that_does_not_exist(name_server: DnsServer) -> None:
    found = await collect(check_sender(SETTINGS, resolver(name_server), "m1"))

    assert {name: finding.level for name, finding in found.items()} == {"sender DNS": Level.FAIL}
    assert "there is no domain mail.firm.test" in found["sender DNS"].sentence


@pytest.mark.usefixtures("public_test_domain")
async def test_a_domain_without_records(name_server: DnsServer) -> None:
    name_server.records = {"mail.firm.test": []}

    found = await collect(check_sender(SETTINGS, resolver(name_server), "m1"))

    assert {name: finding.level for name, finding in found.items()} == {
        "SPF": Level.WARN, "DKIM": Level.FAIL, "DMARC": Level.WARN,
    }  # fmt: skip
    assert all(finding.advice for finding in found.values())


@pytest.mark.usefixtures("public_test_domain")
async def test_a_name_server_that_does_not_answer_is_no_fault_of_the_domain(name_server: DnsServer) -> None:
    name_server.records = {"mail.firm.test": None}

    found = await collect(check_sender(SETTINGS, resolver(name_server), None))

    assert [finding.level for finding in found.values()] == [Level.SKIP]
    assert "no answer" in found["sender DNS"].sentence


@pytest.mark.usefixtures("public_test_domain")
async def test_without_a_selector_the_key_is_not_looked_for(name_server: DnsServer) -> None:
    name_server.records = dict(GOOD)

    found = await collect(check_sender(SETTINGS, resolver(name_server), None))

    assert found["DKIM"].level is Level.SKIP


@pytest.mark.parametrize("sender", ["me@vps", "me@host.local", "me@shop.example", "me@localhost"])
async def test_names_that_no_receiver_can_look_up_are_not_asked_for(name_server: DnsServer, sender: str) -> None:
    found = await collect(check_sender(Settings(from_email=sender), resolver(name_server), None))

    assert found["sender DNS"].level is Level.SKIP
    assert name_server.asked == []


async def test_a_sender_that_nobody_chose_is_a_warning(name_server: DnsServer) -> None:
    found = await collect(check_sender(Settings(), resolver(name_server), None))

    assert found["sender"].level is Level.WARN
    assert "MAILWORKERS_FROM_EMAIL" in found["sender"].advice


async def test_no_resolver_at_all_is_not_answered() -> None:
    with pytest.raises(NotAnswered):
        await Resolver([("127.0.0.1", 9)], seconds=0.2).txt("firm.test")


@pytest.mark.parametrize(
    ("records", "level", "word"),
    [
        (["v=spf1 a mx -all"], Level.OK, ""),
        (["v=spf1 redirect=other.test"], Level.OK, ""),
        (["V=SPF1 a ?all"], Level.OK, ""),
        ([], Level.WARN, "no SPF record"),
        (["v=spf10 a -all"], Level.WARN, "no SPF record"),
        (["v=spf1 a -all", "v=spf1 mx -all"], Level.FAIL, "2 SPF records"),
        (["v=spf1 +all"], Level.FAIL, "anybody"),
        (["v=spf1 all"], Level.FAIL, "anybody"),
        (["v=spf1 a mx"], Level.WARN, "everybody else"),
    ],
)
def test_spf(records: list[str], level: Level, word: str) -> None:
    found = spf("firm.test", records)

    assert found.level is level
    assert word in found.sentence


@pytest.mark.parametrize(
    ("records", "level"),
    [(["v=DKIM1; p=MIG"], Level.OK), (["p=MIG"], Level.OK), (["v=DKIM1; p="], Level.FAIL), ([], Level.FAIL)],
)
def test_dkim(records: list[str], level: Level) -> None:
    assert dkim("m1._domainkey.firm.test", records).level is level


@pytest.mark.parametrize(
    ("records", "level"),
    [
        (["v=DMARC1; p=none; rua=mailto:x@firm.test"], Level.OK),
        (["v=DMARC1;p=reject"], Level.OK),
        (["v=DMARC1; p=maybe"], Level.FAIL),
        (["v=DMARC1; sp=none"], Level.FAIL),
        (["v=DMARC1; p=none", "v=DMARC1; p=none"], Level.FAIL),
    ],
)
def test_dmarc(records: list[str], level: Level) -> None:
    assert dmarc("firm.test", records).level is level
