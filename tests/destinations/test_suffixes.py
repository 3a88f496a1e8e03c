"""Which provider's a domain's mail exchanges are."""

from __future__ import annotations

import pytest

from mailworkers.destinations.exchanges import Exchange
from mailworkers.destinations.suffixes import Suffixes

SUFFIXES = Suffixes(
    {"google.com": "google", "outlook.example": "microsoft", "protection.outlook.example": "microsoft365"}
)


@pytest.mark.parametrize(
    ("hosts", "group"),
    [
        (["aspmx.l.google.com"], "google"),
        (["google.com"], "google"),
        (["ASPMX.L.Google.COM."], "google"),
        (["notgoogle.com"], ""),
        (["google.com.evil.example"], ""),
        (["mx.outlook.example"], "microsoft"),
        (["firm.mail.protection.outlook.example"], "microsoft365"),
        (["mx.firm.example"], ""),
        (["", ".", "..", "com"], ""),
        ([], ""),
    ],
)
def test_a_host_belongs_to_the_longest_suffix_in_whole_labels(hosts: list[str], group: str) -> None:
    assert SUFFIXES.group_of([Exchange(10, host) for host in hosts]) == group


def test_only_the_best_preference_counts() -> None:
    own, backup = Exchange(5, "mx.firm.example"), Exchange(10, "aspmx.l.google.com")

    assert SUFFIXES.group_of([backup, own]) == ""
    assert SUFFIXES.group_of([backup, Exchange(20, "mx.firm.example")]) == "google"


def test_equals_of_two_providers_give_the_same_group_in_any_order() -> None:
    both = [Exchange(10, "mx.google.com"), Exchange(10, "a.outlook.example"), Exchange(10, "a.firm.example")]

    assert {SUFFIXES.group_of(both), SUFFIXES.group_of(both[::-1])} == {"microsoft"}
