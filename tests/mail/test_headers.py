"""Which extra headers a row may ask for, and what no field may contain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.headers import ALLOWED_NAMES, check_header_name, check_one_line

MIGRATIONS = Path(__file__).parents[2] / "sql" / "migrations"


@pytest.mark.parametrize("name", ["X-Shop-Order", "x-a", "List-Unsubscribe-Post", "In-Reply-To", "KEYWORDS"])
def test_harmless_names_may_be_set(name: str) -> None:
    assert check_header_name(name) == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        *["From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Sender", "Reply-To", "Return-Path", "Received"],
        *["MIME-Version", "Content-Type", "Content-Anything", "DKIM-Signature", "Resent-To", "Authentication-Results"],
        *["", "X-", "X Note", "X-Note:", "X-Nöte", "X-Note\r\nBcc", " X-Note", "X-" + "a" * 59],
    ],
)
def test_other_names_are_refused_on_one_line(name: str) -> None:
    with pytest.raises(ComposeError) as refused:
        check_header_name(name)

    assert str(refused.value).startswith("headers: ")
    assert "\n" not in str(refused.value)


def test_the_database_knows_the_same_names() -> None:
    sql = "".join(path.read_text() for path in sorted(MIGRATIONS.glob("*.sql")))
    alternatives = re.findall(r"!~\* '\^\((x-[^']*)\)\$'", sql)[-1].split("|")

    assert set(alternatives) == {"x-[a-z0-9-]+", "list-[a-z0-9-]+", *ALLOWED_NAMES}


@pytest.mark.parametrize("text", ["", "Hello", "Žofie — 日本 😀", "שלום", "\u200dzero\u00a0width", "\ufeff"])
def test_text_of_one_line_passes(text: str) -> None:
    check_one_line(text, "subject")


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\0", "\t", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\udc80"]
)
def test_a_control_character_is_refused_and_named(character: str) -> None:
    with pytest.raises(ComposeError) as refused:
        check_one_line(f"Ann{character}Bcc: eve@firm3.example", "to_name")

    assert str(refused.value).startswith(f"to_name contains the control character U+{ord(character):04X} at position 4")


def test_a_field_longer_than_relays_take_is_refused() -> None:
    with pytest.raises(ComposeError, match="subject has 10001 characters"):
        check_one_line("x" * 10_001, "subject")
