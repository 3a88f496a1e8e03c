"""A plain message to vary, and how its bytes are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Message

LETTER = Message(
    message_id="6f1ed002ab5595859014ebf0951522d9@firm1.example",
    date=datetime(2026, 11, 22, 9, 5, 7, tzinfo=UTC),
    sender=Address("letter@firm1.example", "The Letter"),
    to=Address("ann@firm2.example", "Ann"),
    subject="Hello",
    text_body="Hi Ann\n",
)


def letter(**changes: Any) -> Message:
    """The plain message with some fields changed."""
    return replace(LETTER, **changes)


def content_of(message: Message) -> bytes:
    """The bytes that would cross the wire."""
    return compose(message).content


def lines_of(message: Message) -> list[str]:
    """The same, line by line."""
    return content_of(message).decode().split("\r\n")


def read(content: bytes) -> EmailMessage:
    """What a receiver's standard library makes of it."""
    parsed = message_from_bytes(content, policy=policy.SMTPUTF8)
    assert isinstance(parsed, EmailMessage)
    return parsed


def received(message: Message) -> EmailMessage:
    """Compose and read."""
    return read(content_of(message))
