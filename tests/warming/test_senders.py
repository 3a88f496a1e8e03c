"""Which warm-up a mail belongs to."""

from __future__ import annotations

from datetime import date

import pytest

from mailworkers.warming.senders import MOST_REMEMBERED, Quota, Senders, WarmUp


def warm_up(sender: str, **changes: object) -> WarmUp:
    values: dict[str, object] = {
        "id": 1, "sender": sender, "status": "running", "why": "", "hold_all": False, "on_date": date(2026, 11, 22),
        "day": 1, "last_day": 5, "seconds_left": 3600.0, "quotas": {"*": Quota("*", 50, 50), "google": Quota("google", 20, 20)},
        **changes,
    }  # fmt: skip
    return WarmUp(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("from_email", "found"),
    [
        ("ann@news.example", "news.example"),
        ("Ann@NEWS.Example", "news.example"),
        ("bob@shop.example", "bob@shop.example"),
        ("BOB@shop.example", "bob@shop.example"),
        ("eve@shop.example", None),
        ("ann@mail.news.example", None),
        ("ann@büro.example", "xn--bro-hoa.example"),
        ("nobody", None),
    ],
)
def test_a_domain_is_for_all_addresses_at_it(from_email: str, found: str | None) -> None:
    senders = Senders()
    senders.renew([warm_up("news.example"), warm_up("bob@shop.example"), warm_up("xn--bro-hoa.example")])
    for _ in range(2):  # looked up, then remembered
        known = senders.warm_up_of(from_email)
        assert (known.sender if known else None) == found


def test_one_that_is_over_is_none() -> None:
    senders = Senders()
    senders.renew([warm_up("news.example", day=6)])
    assert not senders
    assert senders.warm_up_of("ann@news.example") is None


def test_a_held_one_is_not_over_whatever_its_day() -> None:
    assert not warm_up("news.example", day=6, status="paused").over


def test_what_was_remembered_is_forgotten_with_each_look() -> None:
    senders = Senders()
    assert senders.warm_up_of("ann@news.example") is None
    senders.renew([warm_up("news.example")])
    assert senders.warm_up_of("ann@news.example") is not None


def test_it_remembers_no_more_than_it_may() -> None:
    senders = Senders()
    for n in range(MOST_REMEMBERED + 5):
        senders.warm_up_of(f"reader{n}@other.example")
    assert len(senders._found) <= MOST_REMEMBERED


def test_a_group_without_a_quota_of_its_own_shares_one() -> None:
    one = warm_up("news.example")
    assert one.quota_of("google").quota == 20
    assert one.quota_of("yahoo").quota == one.quota_of("").quota == 50
