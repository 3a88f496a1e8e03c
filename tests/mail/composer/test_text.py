"""A text part, in the transfer encoding that fits its content."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.composer.text import text_part


def encoding_of(part: bytes) -> str:
    return str(message_from_bytes(part, policy=policy.default)["Content-Transfer-Encoding"])


def arrived(part: bytes) -> str:
    """What a reader gets, byte for byte."""
    parsed = message_from_bytes(part, policy=policy.default)
    content = parsed.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def body_lines(part: bytes) -> list[bytes]:
    return part.split(b"\r\n\r\n", 1)[1].split(b"\r\n")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "7bit"),
        ("   ", "7bit"),
        ("Hi Ann", "7bit"),
        ("x" * 990, "7bit"),
        ("x" * 991, "quoted-printable"),
        ("x" * 900 + "\n" + "y" * 900, "7bit"),
        ("x" * 900 + "\n" + "y" * 5000, "quoted-printable"),
        ("Grüße aus Köln, und bis bald", "quoted-printable"),
        ("Ein langer Satz mit einem ü. " * 50, "quoted-printable"),
        ("これは日本語の手紙です。", "base64"),
        ("Здравствуй, мир", "base64"),
        ("😀", "base64"),
    ],
)
def test_the_encoding_follows_the_content(text: str, encoding: str) -> None:
    part = text_part(text, "plain", "text_body")

    assert encoding_of(part) == encoding
    assert arrived(part) == text.replace("\n", "\r\n") + "\r\n"


@pytest.mark.parametrize("text", ["a\nb\n", "a\r\nb\r\n", "a\rb\r", "a\rb\n", "a\r\nb"])
@pytest.mark.parametrize("tail", ["", "é\n", "日本語\n", "z" * 1000 + "\n"], ids=["7bit", "quoted", "base64", "long"])
def test_every_line_end_becomes_crlf(text: str, tail: str) -> None:
    whole = text + ("" if text.endswith(("\n", "\r")) or not tail else "\n") + tail

    part = text_part(whole, "plain", "text_body")

    assert arrived(part) == "a\r\nb\r\n" + tail.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        ".\n..\n.x\n",  # the transport doubles the dots
        "From here\n",
        "trailing blanks  \nand tabs\t\n",
        "trailing blanks  \nund Größe \t\n",
        "soft = hyphen =3D é\n",
        "form feed \x0c, escape \x1b, é\n",
        "line\u2028separator, next\x85line\n",
        "é\n\n\n\n",
        "\n\n",
        *("y" * size + " \né\n" for size in range(70, 80)),
        *("y" * size + "é\t\n" for size in range(66, 80)),
    ],
)
def test_nothing_is_lost(text: str) -> None:
    part = text_part(text, "plain", "text_body")

    assert arrived(part) == text.replace("\n", "\r\n")


@pytest.mark.parametrize("size", range(60, 84))
def test_encoded_lines_keep_to_76_also_with_blanks_at_their_end(size: int) -> None:
    for tail in (" \n", "\t\n", "  \n", "é \n"):
        part = text_part("é\n" + "y" * size + tail, "plain", "text_body")

        assert encoding_of(part) == "quoted-printable"
        assert all(len(line) <= 76 for line in body_lines(part))
        assert not any(line.endswith((b" ", b"\t")) for line in body_lines(part))


def test_ascii_is_called_ascii() -> None:
    assert b"charset=us-ascii" in text_part("Hi", "plain", "text_body")
    assert b"charset=us-ascii" in text_part("x" * 1000, "plain", "text_body")
    assert b"charset=utf-8" in text_part("é", "html", "html_body")


@pytest.mark.parametrize(
    ("text", "reason"), [("a\0b", "U\\+0000 at position 2"), ("é\udc80", "lone surrogate at position 2")]
)
def test_what_no_body_can_hold_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ComposeError, match=f"^html_body contains .*{reason}"):
        text_part(text, "html", "html_body")
