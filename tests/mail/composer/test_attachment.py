"""A file as a MIME part."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.composer.attachment import attachment_part
from mailworkers.mail.message import Attachment


def parsed(attachment: Attachment, disposition: str = "attachment") -> EmailMessage:
    part = message_from_bytes(attachment_part(attachment, disposition, "attachments[0]"), policy=policy.default)
    assert isinstance(part, EmailMessage)
    assert not part.defects
    return part


@pytest.mark.parametrize("content", [b"", b"\0", b"a\r\nb\nc\rd", bytes(range(256)) * 40, b"." * 57, b"." * 58])
@pytest.mark.parametrize("content_type", ["application/pdf", "text/csv", "text/plain; charset=utf-16"])
def test_the_bytes_arrive_as_they_were(content: bytes, content_type: str) -> None:
    assert parsed(Attachment("a", content_type, content)).get_payload(decode=True) == content


@pytest.mark.parametrize(
    "filename",
    [
        "report.pdf",
        "report 2026 (final).pdf",
        'say "hi".txt',
        "back\\slash.txt",
        "semi;colon, comma.txt",
        "100%.txt",
        "it's.txt",
        "Übersicht für März.pdf",
        "日本語" * 70,
        "😀" * 60 + ".png",
        "x" * 200,
        "a b " * 50 + "c",
        "../../etc/passwd",  # kept: what to do with a path is the reader's to decide
        "=?utf-8?q?x?=",
    ],
)
def test_any_file_name_arrives(filename: str) -> None:
    attachment = Attachment(filename, "application/pdf", b"x")

    assert parsed(attachment).get_filename() == filename
    assert all(len(line) <= 78 for line in attachment_part(attachment, "attachment", "a").split(b"\r\n"))


def test_a_file_may_have_no_name() -> None:
    part = parsed(Attachment("", "application/pdf", b"x"))

    assert part["Content-Disposition"] == "attachment"
    assert part.get_filename() is None


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("application/pdf", "application/pdf"),
        ("IMAGE/PNG", "image/png"),
        ("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        ("", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("application/", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
        ("text/plain; é=1", "application/octet-stream"),
        ("text/plain; x", "application/octet-stream"),
        ("x/" + "y" * 300, "application/octet-stream"),
        ("message/rfc822", "application/octet-stream"),  # RFC 2046 5.2.1 forbids to encode it
        ("Multipart/Mixed; boundary=x", "application/octet-stream"),
    ],
)
def test_a_content_type_is_sent_if_it_is_one(given: str, sent: str) -> None:
    assert parsed(Attachment("a", given, b"x")).get_content_type() == sent


def test_parameters_of_the_content_type_stay() -> None:
    part = parsed(Attachment("a.ics", 'text/calendar; method=REQUEST;charset="utf-8"', b"x"))

    assert part.get_param("method") == "REQUEST"
    assert part.get_content_charset() == "utf-8"


def test_an_inline_file_has_its_content_id() -> None:
    part = parsed(Attachment("logo.png", "image/png", b"x", "logo@firm1.example"), "inline")

    assert part["Content-ID"] == "<logo@firm1.example>"
    assert part.get_content_disposition() == "inline"


@pytest.mark.parametrize(
    ("attachment", "reason"),
    [
        (
            Attachment("a\r\nX: y", "text/plain", b""),
            r"^attachments\[0\]\.filename contains the control character U\+000D",
        ),
        (
            Attachment("a", "text/plain\nX: y", b""),
            r"^attachments\[0\]\.content_type contains the control character U\+000A",
        ),
        (Attachment("a", "text/plain", b"", "a\r\nb"), r"^attachments\[0\]\.content_id must be"),
        (Attachment("a", "text/plain", b"", "<logo>"), r"^attachments\[0\]\.content_id must be"),
        (Attachment("a", "text/plain", b"", "lögo"), r"^attachments\[0\]\.content_id must be"),
        (Attachment("a", "text/plain", b"", "x" * 251), r"^attachments\[0\]\.content_id must be"),
    ],
)
def test_what_no_header_can_hold_is_refused(attachment: Attachment, reason: str) -> None:
    with pytest.raises(ComposeError, match=reason):
        parsed(attachment)
