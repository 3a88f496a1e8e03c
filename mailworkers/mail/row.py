"""A row of email_jobs becomes a message. Nothing is looked up here: blobs come with the call."""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import ascii_domain
from mailworkers.mail.composer.body import MAX_CONTENT_BYTES
from mailworkers.mail.message import Address, Attachment, Message
from mailworkers.mail.templates.letter import Rendered

NO_BLOBS: Mapping[int, Attachment] = {}


@dataclass(frozen=True, slots=True)
class SenderDefaults:
    """The sender of rows that name none: settings FROM_EMAIL and FROM_NAME."""

    from_email: str
    from_name: str = ""


def message_from_row(
    row: Mapping[str, Any],
    defaults: SenderDefaults,
    blobs: Mapping[int, Attachment] = NO_BLOBS,
    says: Rendered | None = None,
) -> Message:
    """Build the message that a row describes.

    The Message-ID comes from the row's `message_token` and the Date from its `created_at`, so that every attempt carries
    the same ones. The default name goes with the default address only.

    Args:
        row: columns of email_jobs. `headers` and `attachments` as text or already decoded.
        defaults: for rows without from_email.
        blobs: what `blob_ids` asked for, by id.
        says: what its template says, where it names one.

    Raises:
        ComposeError: where the row cannot become a mail, whoever tries.
    """
    if says is None:
        if row["template"] is not None:
            raise ComposeError(
                f"template {_shown(row['template'])} does not exist in workspace {_shown(row['workspace_id'])}"
            )
        says = Rendered(row["subject"] or "", row["text_body"], row["html_body"])
    sender = _sender(row, defaults)
    reply_to, attachments, headers = row["reply_to"], row["attachments"], row["headers"]
    return Message(
        message_id=_message_id(row, sender),
        date=row["created_at"],
        sender=sender,
        to=Address(row["to_email"] or "", row["to_name"] or ""),
        subject=says.subject,
        text_body=says.text_body,
        html_body=says.html_body,
        reply_to=Address(reply_to) if reply_to else None,
        cc=_addresses(row["cc"]),
        bcc=_addresses(row["bcc"]),
        headers=_headers(headers) if headers is not None else None,
        attachments=_attachments(attachments, row["workspace_id"], blobs) if attachments is not None else (),
        text_pieces=says.text_pieces,
        html_pieces=says.html_pieces,
    )


def blob_ids(row: Mapping[str, Any]) -> frozenset[int]:
    """Ids of the email_blobs rows that a row's attachments refer to; they must belong to the row's workspace.

    Raises:
        ComposeError: where `attachments` is malformed.
    """
    if row["attachments"] is None:
        return frozenset()
    items = _items(row["attachments"])
    return frozenset(_blob_id(item, f"attachments[{index}]") for index, item in enumerate(items) if "blob_id" in item)


def _sender(row: Mapping[str, Any], defaults: SenderDefaults) -> Address:
    if row["from_email"]:
        return Address(row["from_email"], row["from_name"] or "")
    return Address(defaults.from_email, row["from_name"] or defaults.from_name)


def _message_id(row: Mapping[str, Any], sender: Address) -> str:
    domain = sender.email.rpartition("@")[2]
    try:
        return f"{row['message_token'].hex}@{ascii_domain(domain)}"
    except ComposeError as bad:
        raise ComposeError(f"from_email: {bad.message}") from None


def _addresses(listed: Iterable[str] | None) -> tuple[Address, ...]:
    return tuple(Address(email or "") for email in listed) if listed else ()


def _headers(value: Any) -> dict[str, str]:
    headers = _decoded(value, "headers")
    if not isinstance(headers, dict) or not all(isinstance(text, str) for text in headers.values()):
        raise ComposeError('headers must be an object of texts, as in {"X-Shop-Order": "1234"}')
    return headers


def _attachments(value: Any, workspace_id: str, blobs: Mapping[int, Attachment]) -> tuple[Attachment, ...]:
    attachments = []
    left = MAX_CONTENT_BYTES
    for index, item in enumerate(_items(value)):
        field = f"attachments[{index}]"
        attachment = _referred(item, field, workspace_id, blobs) if "blob_id" in item else _inline(item, field, left)
        left -= len(attachment.content)
        attachments.append(attachment)
    return tuple(attachments)


def _inline(item: Mapping[str, Any], field: str, left: int) -> Attachment:
    """An attachment whose content is in the row. PostgreSQL's own base64 has line breaks: blanks do not count."""
    encoded = "".join(_text(item, "content", field).split())
    if len(encoded) // 4 * 3 > left + 3:
        raise ComposeError(f"attachments have more than {MAX_CONTENT_BYTES // (1024 * 1024)} MB together")
    try:
        content = a2b_base64(encoded, strict_mode=True)
    except (Base64Error, ValueError):
        raise ComposeError(f"{field}.content is not valid base64") from None
    filename, content_type = _text(item, "filename", field), _text(item, "content_type", field)
    return Attachment(filename, content_type, content, _text(item, "content_id", field))


def _referred(item: Mapping[str, Any], field: str, workspace_id: str, blobs: Mapping[int, Attachment]) -> Attachment:
    """An attachment whose content is in email_blobs; the row may give it another name and type."""
    blob_id = _blob_id(item, field)
    blob = blobs.get(blob_id)
    if blob is None:
        raise ComposeError(f"{field}.blob_id {blob_id} does not exist in workspace {_shown(workspace_id)}")
    filename = _text(item, "filename", field) or blob.filename
    content_type = _text(item, "content_type", field) or blob.content_type
    return Attachment(filename, content_type, blob.content, _text(item, "content_id", field))


def _items(value: Any) -> list[dict[str, Any]]:
    items = _decoded(value, "attachments")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ComposeError('attachments must be a list, as in [{"filename": "a.pdf", "content": "<base64>"}]')
    return items


def _text(item: Mapping[str, Any], key: str, field: str) -> str:
    value = item.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ComposeError(f"{field}.{key} must be text")
    return value


def _blob_id(item: Mapping[str, Any], field: str) -> int:
    value = item["blob_id"]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ComposeError(f"{field}.blob_id must be a whole number")
    return value


def _decoded(value: Any, field: str) -> Any:
    """What a jsonb column holds: asyncpg gives its text, unless a codec is set."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ComposeError(f"{field} is not valid JSON, or nested too deeply") from None


def _shown(name: str) -> str:
    """In double quotes, on one line whatever it holds."""
    return json.dumps(name, ensure_ascii=False) if name.isprintable() else json.dumps(name)
