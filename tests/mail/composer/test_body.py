"""The tree of parts and its boundaries."""

from __future__ import annotations

from typing import Any

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.composer import body
from mailworkers.mail.message import Attachment
from tests.mail.letters import content_of, letter, received

LOGO = Attachment("logo.png", "image/png", b"png", "logo")
PDF = Attachment("report.pdf", "application/pdf", b"pdf")
HTML = '<img src="cid:logo">'


def tree(part: Any) -> Any:
    """The content types, nested as the parts are."""
    kind = part.get_content_type()
    return (kind, [tree(child) for child in part.iter_parts()]) if part.is_multipart() else kind


ALTERNATIVE = ("multipart/alternative", ["text/plain", "text/html"])
RELATED = ("multipart/related", ["text/html", "image/png"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "text/plain"),
        ({"text_body": None, "html_body": HTML}, "text/html"),
        ({"html_body": HTML}, ALTERNATIVE),
        ({"attachments": (PDF,)}, ("multipart/mixed", ["text/plain", "application/pdf"])),
        ({"text_body": None, "html_body": HTML, "attachments": (LOGO,)}, RELATED),
        ({"html_body": HTML, "attachments": (LOGO,)}, ("multipart/alternative", ["text/plain", RELATED])),
        ({"html_body": HTML, "attachments": (PDF,)}, ("multipart/mixed", [ALTERNATIVE, "application/pdf"])),
        (
            {"html_body": HTML, "attachments": (PDF, LOGO)},
            ("multipart/mixed", [("multipart/alternative", ["text/plain", RELATED]), "application/pdf"]),
        ),
        ({"attachments": (LOGO,)}, ("multipart/mixed", ["text/plain", "image/png"])),
    ],
)
def test_the_tree_has_what_the_message_needs_and_no_more(given: dict[str, Any], expected: Any) -> None:
    assert tree(received(letter(**given))) == expected


def test_a_file_with_a_content_id_is_inline_only_beside_html() -> None:
    with_html = received(letter(html_body=HTML, attachments=(LOGO,)))
    without = received(letter(attachments=(LOGO,)))

    assert [part.get_content_disposition() for part in with_html.walk()][-1] == "inline"
    assert [part.get_content_disposition() for part in without.walk()][-1] == "attachment"


def test_related_says_which_part_is_its_root() -> None:
    assert received(letter(text_body=None, html_body=HTML, attachments=(LOGO,))).get_param("type") == "text/html"


def test_a_boundary_that_stands_in_the_text_is_not_used() -> None:
    first = received(letter(html_body=HTML)).get_boundary()
    assert first is not None
    hostile = f"--{first}\r\nContent-Type: text/html\r\n\r\nevil\r\n--{first}--\r\n"

    message = received(letter(text_body=hostile, html_body=HTML))

    second = message.get_boundary()
    assert second is not None
    assert second[-24:] not in hostile
    assert tree(message) == ALTERNATIVE


def test_no_boundary_begins_with_another() -> None:
    message = received(letter(html_body=HTML, attachments=(PDF, LOGO)))
    boundaries = [str(part.get_boundary()) for part in message.walk() if part.is_multipart()]

    assert len(boundaries) == 3
    assert not [1 for a in boundaries for b in boundaries if a is not b and a.startswith(b)]
    assert all(len(boundary) <= 70 for boundary in boundaries)  # RFC 2046 5.1.1


def test_empty_parts_are_parts() -> None:
    message = received(letter(text_body="", html_body="", attachments=(Attachment("", "", b""),)))

    assert tree(message) == ("multipart/mixed", [ALTERNATIVE, "application/octet-stream"])


def test_a_message_without_any_body_is_refused() -> None:
    with pytest.raises(ComposeError, match="neither text_body nor html_body"):
        content_of(letter(text_body=None))


@pytest.mark.parametrize(
    "given",
    [
        {"text_body": "x" * 60, "html_body": "y" * 41},
        {"text_body": "é" * 51},
        {"attachments": (Attachment("a", "", bytes(95)),)},
    ],
)
def test_more_than_the_limit_is_refused(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MAX_CONTENT_BYTES", 100)

    with pytest.raises(ComposeError, match="text_body, html_body and attachments have"):
        content_of(letter(**given))
    assert content_of(letter(text_body="é" * 50))
