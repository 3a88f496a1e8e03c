"""Fixtures of the transports' tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and a relay's certificates, made for this run."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is missing")
    folder: Path = tmp_path_factory.mktemp("certificates")
    return make_certificates(folder)
