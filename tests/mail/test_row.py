"""A row of email_jobs becomes a message."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from mailworkers.errors import ComposeError
from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Attachment
from mailworkers.mail.row import SenderDefaults, blob_ids, message_from_row

DEFAULTS = SenderDefaults("letter@firm1.example", "The Letter")
CREATED = datetime(2026, 11, 22, 9, 5, 7, tzinfo=UTC)
PDF = Attachment("report.pdf", "application/pdf", b"%PDF-1.7")


def row(**columns: Any) -> dict[str, Any]:
    """A row as small as the contract allows, with some columns set."""
    empty = dict.fromkeys(
        (
            "to_name",
            "from_email",
            "from_name",
            "reply_to",
            "cc",
            "bcc",
            "html_body",
            "template",
            "headers",
            "attachments",
        )
    )
    least = {"workspace_id": "default", "to_email": "ann@firm2.example", "subject": "Hello", "text_body": "Hi Ann"}
    own = {"message_token": UUID("6f1ed002-ab55-9585-9014-ebf0951522d9"), "created_at": CREATED}
    return {**empty, **least, **own, **columns}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_the_least_row_is_a_mail_from_the_default_sender() -> None:
    message = message_from_row(row(), DEFAULTS)

    assert message.sender == Address("letter@firm1.example", "The Letter")
    assert message.to == Address("ann@firm2.example")
    assert (message.subject, message.text_body, message.html_body) == ("Hello", "Hi Ann", None)
    assert compose(message).envelope.rcpt_to == ("ann@firm2.example",)


def test_every_attempt_has_the_message_id_and_date_of_the_row() -> None:
    first, second = message_from_row(row(), DEFAULTS), message_from_row(row(), DEFAULTS)

    assert first == second
    assert first.message_id == "6f1ed002ab5595859014ebf0951522d9@firm1.example"
    assert first.date == CREATED


def test_the_message_id_s_domain_is_the_sender_s_in_ascii() -> None:
    message = message_from_row(row(from_email="ann@büro.firm1.example"), DEFAULTS)

    assert message.message_id.endswith("@xn--bro-hoa.firm1.example")


@pytest.mark.parametrize(
    ("columns", "sender"),
    [
        ({}, Address("letter@firm1.example", "The Letter")),
        ({"from_name": "Ann"}, Address("letter@firm1.example", "Ann")),
        ({"from_email": "a@firm3.example"}, Address("a@firm3.example")),
        ({"from_email": "a@firm3.example", "from_name": "Ann"}, Address("a@firm3.example", "Ann")),
    ],
)
def test_the_default_name_goes_with_the_default_address_only(columns: dict[str, str], sender: Address) -> None:
    assert message_from_row(row(**columns), DEFAULTS).sender == sender


def test_other_addresses_come_along() -> None:
    message = message_from_row(
        row(reply_to="r@firm1.example", cc=["c@firm1.example"], bcc=["b@firm1.example"]), DEFAULTS
    )

    assert message.reply_to == Address("r@firm1.example")
    assert message.cc == (Address("c@firm1.example"),)
    assert message.bcc == (Address("b@firm1.example"),)


@pytest.mark.parametrize("as_column", [json.dumps, lambda value: value], ids=["text", "decoded"])
def test_jsonb_may_come_as_text_or_decoded(as_column: Any) -> None:
    item = {"filename": "a.txt", "content_type": "text/plain", "content": encoded(b"hello"), "content_id": "a"}

    message = message_from_row(row(headers=as_column({"X-Shop": "1"}), attachments=as_column([item])), DEFAULTS)

    assert message.headers == {"X-Shop": "1"}
    assert message.attachments == (Attachment("a.txt", "text/plain", b"hello", "a"),)


def test_base64_may_have_line_breaks() -> None:
    content = bytes(range(256))
    wrapped = base64.encodebytes(content).decode()

    message = message_from_row(row(attachments=[{"filename": "a", "content": wrapped}]), DEFAULTS)

    assert message.attachments[0].content == content


def test_a_blob_is_attached_by_its_id_and_may_get_another_name() -> None:
    given = row(attachments=[{"blob_id": 7}, {"blob_id": 7, "filename": "mine.pdf", "content_id": "m"}])

    assert blob_ids(given) == {7}
    message = message_from_row(given, DEFAULTS, {7: PDF})
    assert message.attachments == (PDF, Attachment("mine.pdf", "application/pdf", PDF.content, "m"))


def test_a_row_without_attachments_needs_no_blobs() -> None:
    assert blob_ids(row()) == frozenset()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"template": "welcome"}, 'template "welcome" does not exist in workspace "default"'),
        ({"template": "a\nb"}, r'template "a\\nb" does not exist'),
        ({"from_email": "ann@☃.example"}, "from_email: the domain is not a valid"),
        ({"headers": "[1]"}, "headers must be an object of texts"),
        ({"headers": '{"X-A": 1}'}, "headers must be an object of texts"),
        ({"headers": "{"}, "headers is not valid JSON"),
        ({"attachments": "{}"}, "attachments must be a list"),
        ({"attachments": "[1]"}, "attachments must be a list"),
        ({"attachments": "[" * 100_000}, "attachments is not valid JSON, or nested too deeply"),
        ({"attachments": [{"filename": 1, "content": ""}]}, r"attachments\[0\]\.filename must be text"),
        ({"attachments": [{"content": "a"}]}, r"attachments\[0\]\.content is not valid base64"),
        ({"attachments": [{"content": "é==="}]}, r"attachments\[0\]\.content is not valid base64"),
        ({"attachments": [{"content": "YQ==YQ=="}]}, r"attachments\[0\]\.content is not valid base64"),
        ({"attachments": [{"blob_id": "7"}]}, r"attachments\[0\]\.blob_id must be a whole number"),
        ({"attachments": [{"blob_id": 7}]}, r'attachments\[0\]\.blob_id 7 does not exist in workspace "default"'),
    ],
)
def test_what_cannot_become_a_mail_is_refused_with_its_reason(columns: dict[str, Any], reason: str) -> None:
    with pytest.raises(ComposeError, match=reason) as refused:
        message_from_row(row(**columns), DEFAULTS)

    assert "\n" not in str(refused.value)


def test_files_too_large_together_are_refused_before_they_are_decoded() -> None:
    item = {"filename": "a", "content": encoded(bytes(13 * 1024 * 1024))}

    with pytest.raises(ComposeError, match="attachments have more than 25 MB together"):
        message_from_row(row(attachments=[item, item]), DEFAULTS)
