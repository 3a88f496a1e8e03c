"""A name server on loopback, and a way to read what checks found."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest

from mailworkers.doctor import sender
from mailworkers.doctor.finding import Finding
from tests.support.certificates import Certificates, make_certificates


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Answers TXT questions from `records`: name → strings. A name that is not there does not exist; one with None gets
    no answer at all."""

    records: dict[str, list[str] | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: tuple[str, int] = ("127.0.0.1", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        name = question.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        found = self.records.get(name, [])
        if found is None:
            return
        answer = dns.message.make_response(question)
        if name not in self.records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found:
            quoted = [" ".join(f'"{part}"' for part in text.split("|")) for text in found]
            answer.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", "TXT", quoted))
        self._transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


@pytest.fixture
async def name_server() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield server
    transport.close()


@pytest.fixture
def public_test_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names under .test are looked up, as only public ones are otherwise."""
    monkeypatch.setattr(sender, "PRIVATE", re.compile(r"(^|\.)(example|localhost|local)$"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and a relay's certificates, made for this run."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is missing")
    folder: Path = tmp_path_factory.mktemp("certificates")
    return make_certificates(folder)


async def collect(findings: AsyncIterator[Finding]) -> Mapping[str, Finding]:
    """All findings by the name of their check."""
    return {finding.check: finding async for finding in findings}
