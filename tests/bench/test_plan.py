"""Whom a bench may send to."""

from __future__ import annotations

import pytest

from mailworkers.bench.plan import Where, parse_relay
from mailworkers.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:2525", Where("127.0.0.1", 2525)),
        ("localhost:25", Where("localhost", 25)),
        ("[::1]:587", Where("::1", 587)),
        ("127.9.9.9:1", Where("127.9.9.9", 1)),
    ],
)
def test_a_relay_on_this_machine_is_taken(text: str, where: Where) -> None:
    assert parse_relay(text, owned=False) == where


@pytest.mark.parametrize("text", ["relay.example:25", "192.0.2.1:25", "[2001:db8::1]:25", "localhost.example:25"])
def test_any_other_is_refused_until_somebody_owns_it(text: str) -> None:
    with pytest.raises(SettingsError, match="--i-own-this-relay"):
        parse_relay(text, owned=False)

    assert parse_relay(text, owned=True).port == 25


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", "localhost:0", "localhost:65536", "::1:25", ":25"])
def test_what_names_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="HOST:PORT"):
        parse_relay(text, owned=True)
