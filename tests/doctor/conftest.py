"""A name server on loopback, and a way to read what checks found."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from mailworkers.doctor import sender
from mailworkers.doctor.finding import Finding
from tests.support.certificates import Certificates, make_certificates
from tests.support.dns_server import DnsServer


@pytest.fixture
async def name_server() -> AsyncIterator[DnsServer]:
    """With TXT records; a | in one parts its strings."""
    async with DnsServer("TXT", lambda text: " ".join(f'"{part}"' for part in text.split("|"))) as server:
        yield server


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
