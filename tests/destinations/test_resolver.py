"""Questions for MX records over real DNS on loopback, to servers that are well, silent, or liars."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import dns.message
import dns.rrset
import pytest

from mailworkers.destinations.exchanges import Exchange, NotAnswered
from mailworkers.destinations.resolver import MOST_EXCHANGES, MOST_OCTETS, MxResolver, nameservers_of
from mailworkers.settings import Settings
from tests.support.dns_server import DnsServer

PATIENCE_SECONDS = 0.3


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer() as running:
        yield running


@pytest.fixture
def resolver(server: DnsServer) -> MxResolver:
    return MxResolver([server.address], seconds=PATIENCE_SECONDS)


async def test_exchanges_come_best_first(server: DnsServer, resolver: MxResolver) -> None:
    server.records["firm.test"] = ["20 backup.firm.test.", "5 MX.Firm.test."]

    assert await resolver.exchanges("firm.test") == [Exchange(5, "mx.firm.test"), Exchange(20, "backup.firm.test")]


@pytest.mark.parametrize("records", [[], ["0 ."]], ids=["none", "says that it takes no mail"])
async def test_a_domain_without_exchanges(server: DnsServer, resolver: MxResolver, records: list[str]) -> None:
    server.records["firm.test"] = records

    assert await resolver.exchanges("firm.test") == []


async def test_a_domain_that_does_not_exist_has_none(resolver: MxResolver) -> None:
    assert await resolver.exchanges("nowhere.test") == []


async def test_a_silent_server_costs_its_time_out(server: DnsServer, resolver: MxResolver) -> None:
    server.records["firm.test"] = None
    began = time.monotonic()

    with pytest.raises(NotAnswered, match=r"for firm\.test"):
        await resolver.exchanges("firm.test")
    assert time.monotonic() - began < 10 * PATIENCE_SECONDS


async def test_only_the_best_of_many_are_looked_at(server: DnsServer, resolver: MxResolver) -> None:
    server.records["firm.test"] = [f"{30 - n} mx{n}.firm.test." for n in range(30)]

    found = await resolver.exchanges("firm.test")

    assert len(found) == MOST_EXCHANGES
    assert found[0] == Exchange(1, "mx29.firm.test")


def _another_question(question: dns.message.Message) -> bytes:
    answer = dns.message.make_response(dns.message.make_query("other.test", "MX", id=question.id))
    answer.answer.append(dns.rrset.from_text("other.test.", 60, "IN", "MX", "10 smtp.google.com."))
    return answer.to_wire()


def _another_number(question: dns.message.Message) -> bytes:
    answer = dns.message.make_response(question)
    answer.id = question.id ^ 1
    answer.answer.append(dns.rrset.from_text("firm.test.", 60, "IN", "MX", "10 smtp.google.com."))
    return answer.to_wire()


def _far_too_much(question: dns.message.Message) -> bytes:
    answer = dns.message.make_response(question)
    hosts = [f"10 mx{n}.google.com." for n in range(MOST_OCTETS // 10)]
    answer.answer.append(dns.rrset.from_text_list("firm.test.", 60, "IN", "MX", hosts))
    return answer.to_wire(max_size=65535)


def _endless_aliases(question: dns.message.Message) -> bytes:
    answer = dns.message.make_response(question)
    for one, other in (("firm.test.", "a.test."), ("a.test.", "firm.test.")):
        answer.answer.append(dns.rrset.from_text(one, 60, "IN", "CNAME", other))
    return answer.to_wire()


def _pointer_to_itself(question: dns.message.Message) -> bytes:
    head = dns.message.make_response(question).to_wire()
    at = len(head)
    return (
        head[:6]
        + b"\x00\x01"
        + head[8:]
        + bytes([0xC0 | at >> 8, at & 0xFF])
        + b"\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x00"
    )


@pytest.mark.parametrize(
    "lie",
    [
        lambda _: b"",
        lambda _: b"\xff" * 400,
        _far_too_much,
        _another_question,
        _another_number,
        _endless_aliases,
        _pointer_to_itself,
    ],
    ids=[
        "nothing",
        "noise",
        "far too much",
        "an answer to another question",
        "another number",
        "aliases in a circle",
        "a name that points to itself",
    ],
)
async def test_a_lying_server_is_not_believed(server: DnsServer, resolver: MxResolver, lie: object) -> None:
    server.lies["firm.test"] = lie  # type: ignore[assignment]
    began = time.monotonic()

    try:
        found = await resolver.exchanges("firm.test")
    except NotAnswered:
        found = []

    assert found == []
    assert time.monotonic() - began < 10 * PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ("system", ()),
        ("192.0.2.1", (("192.0.2.1", 53),)),
        ("192.0.2.1:5353", (("192.0.2.1", 5353),)),
        ("2001:db8::1", (("2001:db8::1", 53),)),
        ("[2001:db8::1]", (("2001:db8::1", 53),)),
        ("[2001:db8::1]:5353", (("2001:db8::1", 5353),)),
    ],
)
def test_a_setting_names_whom_to_ask(setting: str, asked: tuple[tuple[str, int], ...]) -> None:
    assert nameservers_of(Settings(mx_resolver=setting).mx_resolver) == asked
