"""The header fields, by example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.message import Address
from tests.mail.letters import content_of, letter, lines_of, received


def test_a_plain_letter_in_full() -> None:
    assert lines_of(letter(reply_to=Address("desk@firm1.example"), headers={"X-Shop-Order": "17"})) == [
        "From: The Letter <letter@firm1.example>",
        "To: Ann <ann@firm2.example>",
        "Reply-To: desk@firm1.example",
        "Subject: Hello",
        "Date: Sun, 22 Nov 2026 09:05:07 +0000",
        "Message-ID: <6f1ed002ab5595859014ebf0951522d9@firm1.example>",
        "X-Shop-Order: 17",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Hi Ann",
        "",
    ]


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "Hello",
        "The letter for Žofie — November",
        "😀" * 40,
        "x" * 300,
        "é" * 300,
        "日本語" * 100,
        "word " * 80 + "end",
        "two  blanks   inside",
        "\u200fשלום עולם",  # noqa: RUF001
        "=?utf-8?q?not_encoded?=",
        "a: b; c, <d> (e)",
    ],
)
def test_a_subject_arrives_to_the_letter_in_short_lines(subject: str) -> None:
    message = letter(subject=subject)

    assert received(message)["Subject"] == subject
    head = content_of(message).split(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))


@pytest.mark.parametrize(
    "name", ["Zoë", "Smith, Ann", 'the "pen"', "back\\slash", "😀 Ann", "עברית, בע״מ", "a@b.example", "Ann;Bob"]
)
def test_a_name_arrives_and_begins_no_second_address(name: str) -> None:
    message = received(letter(sender=Address("letter@firm1.example", name), to=Address("ann@firm2.example", name)))

    for field in ("From", "To"):
        assert [address.display_name for address in message[field].addresses] == [name]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": Address("ann@firm2.example", "Ann\r\nBcc: eve@firm3.example")}, "to_name"),
        ({"sender": Address("letter@firm1.example", "Ann\nX: y")}, "from_name"),
        ({"reply_to": Address("letter@firm1.example", "Ann\0")}, "reply_to"),
        ({"cc": (Address("c@firm1.example"), Address("d@firm1.example", "\r"))}, r"cc\[1\]"),
        ({"subject": "Hello\r\n\r\n<script>"}, "subject"),
        ({"subject": "Hello\u2028Bcc: x"}, "subject"),
        ({"headers": {"X-Note": "a\r\nBcc: eve@firm3.example"}}, "headers: X-Note"),
        ({"headers": {"References": "<a@b>\n <c@d>"}}, "headers: References"),
    ],
)
def test_a_line_end_or_control_character_is_refused_never_repaired(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ComposeError, match=f"^{field} contains the control character"):
        content_of(letter(**changes))


def test_cc_stands_in_the_head_one_a_line() -> None:
    cc = tuple(Address(f"c{number}@firm1.example", "Smith, Jo") for number in range(3))
    lines = lines_of(letter(cc=cc))

    assert lines[2:5] == [
        'Cc: "Smith, Jo" <c0@firm1.example>,',
        ' "Smith, Jo" <c1@firm1.example>,',
        ' "Smith, Jo" <c2@firm1.example>',
    ]


@pytest.mark.parametrize(
    ("date", "written"),
    [
        (datetime(2026, 11, 1, 0, 0, 9, 999_999, tzinfo=UTC), "Sun, 01 Nov 2026 00:00:09 +0000"),
        (datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "Wed, 31 Dec 2025 23:00:00 +0000"),
        (datetime(1999, 6, 5, 4, 3, 2, tzinfo=timezone(timedelta(seconds=90))), "Sat, 05 Jun 1999 04:01:32 +0000"),
    ],
)
def test_the_date_is_in_utc(date: datetime, written: str) -> None:
    assert f"Date: {written}" in lines_of(letter(date=date))


def test_a_date_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ComposeError, match="the date has no time zone"):
        content_of(letter(date=datetime(2026, 1, 1)))


@pytest.mark.parametrize(
    "message_id", ["", "a", "a@", "a b@c", "<a@b>", "a@b\r\nX: y", "é@b.example", "a@b@c", "a@" + "b" * 400]
)
def test_a_message_id_that_is_none_is_refused(message_id: str) -> None:
    with pytest.raises(ComposeError, match=r"^message_id must be"):
        content_of(letter(message_id=message_id))


def test_the_longest_message_id_stays_on_one_line() -> None:
    message_id = "f" * 32 + "@" + ".".join(["d" * 63] * 3 + ["d" * 60])

    assert f"Message-ID: <{message_id}>" in lines_of(letter(message_id=message_id))


def test_text_headers_are_encoded_and_token_headers_are_not() -> None:
    references = " ".join(f"<{number:060d}@firm1.example>" for number in range(5))
    message = letter(
        headers={
            "Organization": "Bücher & Söhne",
            "References": references,
            "List-Unsubscribe": "<https://a.example/?=?u>",
        }
    )

    assert received(message)["Organization"] == "Bücher & Söhne"
    assert received(message)["References"] == references
    assert "List-Unsubscribe: <https://a.example/?=?u>" in lines_of(message)


def test_a_long_token_stays_whole_up_to_a_line_s_limit() -> None:
    uri = "<https://firm1.example/u/" + "x" * 900 + ">"

    assert f"List-Unsubscribe: {uri}" in lines_of(letter(headers={"List-Unsubscribe": uri}))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Bcc": "eve@firm3.example"}, "'Bcc' may not be set"),
        ({"Content-Type": "text/html"}, "'Content-Type' may not be set"),
        ({"X-A": "1", "x-a": "2"}, "x-a is given twice"),
        ({"List-Id": "Bücher <b.example>"}, "List-Id must be ASCII"),
        ({"References": "<" + "x" * 1000 + ">"}, "References has a word that does not fit"),
        ({f"X-{number}": "y" * 9000 for number in range(6)}, "more than 50000 characters together"),
    ],
)
def test_headers_that_may_not_be_are_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(ComposeError, match=f"^headers.*{reason}"):
        content_of(letter(headers=headers))
