"""`mailworkers destinations`: who takes a domain's mail, and what a person says about it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command, Sql


def test_groups_are_listed_with_what_their_providers_publish(on_database: Command) -> None:
    lines = {line["name"]: line for line in on_database("destinations", "list", "--json").json}

    assert (lines["comcast"]["connections"], lines["comcast"]["domains"]) == (25, 1)
    assert "postmaster.comcast.net" in lines["comcast"]["source"]
    assert lines["google"]["rate_tokens"] is None
    assert lines["google"]["exchanges"] == ["google.com", "googlemail.com"]
    shown = on_database("destinations", "list").out
    assert set(lines) <= {line.split(" ", 1)[0] for line in shown.splitlines()}
    assert "Comcast, Xfinity" in shown


def test_a_domain_is_shown_with_the_reason(on_database: Command, sql: Sql) -> None:
    assert on_database("destinations", "show", "ann@Hotmail.com", "--json").json == {
        "domain": "hotmail.com", "destination_group": "microsoft", "found": "shipped", "shipped": "microsoft",
        "checked_at": sql("SELECT checked_at FROM mailworkers.destination_domains WHERE domain = 'hotmail.com'").isoformat(),
    }  # fmt: skip
    assert on_database("destinations", "show", "firm.example").out.split() == [
        *("domain", "firm.example", "group", "others", "because", "it", "is", "not", "in", "the", "table")
    ]


def test_a_domain_is_set_and_taken_back(on_database: Command) -> None:
    assert on_database("destinations", "set", "hotmail.com", "google").out == (
        "Mails to hotmail.com that are inserted from now on are in group google.\n"
    )
    assert "shipped as" in on_database("destinations", "show", "hotmail.com").out
    back = on_database("destinations", "unset", "hotmail.com", "--json").json
    assert (back["destination_group"], back["found"]) == ("microsoft", "shipped")

    assert on_database("destinations", "set", "firm.example", "our-server", "--new").code == 0
    assert on_database("destinations", "set", "FIRM.example", "others", "--json").json["destination_group"] == ""
    assert "group others" in on_database("destinations", "unset", "firm.example").out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("set", "firm.example", "gogle"), 'no destination group "gogle". `mailworkers destinations list` shows all'),
        (("set", "firm.example", "Our Server", "--new"), "lower case letters, digits and hyphens"),
        (("set", "not a domain", "google"), "Give a domain such as example.org"),
        (("show", ""), "Give a domain such as example.org"),
    ],
)
def test_what_cannot_be_set_says_why(on_database: Command, arguments: tuple[str, ...], why: str) -> None:
    ended = on_database("destinations", *arguments)

    assert ended.code != 0
    assert why in ended.err
    assert "Traceback" not in ended.err
