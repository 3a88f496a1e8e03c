"""What moves between the queue, the composer and the transports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailworkers.frozen import frozen


@frozen
class Address:
    """One mailbox. `email` is the addr-spec as the row gave it (maybe with an IDN), `name` the display name or empty."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file. `content_id` (without angle brackets) makes it an inline part of the HTML."""

    filename: str
    content_type: str
    content: bytes
    content_id: str = ""


@frozen
class Message:
    """One mail before it is bytes. At least one of the two bodies is not None.

    `message_id` comes without angle brackets and `date` is aware: both were fixed when the job was created, so that
    every attempt carries the same. `text_pieces` and `html_pieces` are what a template joined the bodies of, or empty.
    """

    message_id: str
    date: datetime
    sender: Address
    to: Address
    subject: str
    text_body: str | None = None
    html_body: str | None = None
    reply_to: Address | None = None
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    headers: Mapping[str, str] | None = None
    attachments: tuple[Attachment, ...] = ()
    text_pieces: Sequence[str] = field(default=(), compare=False)
    html_pieces: Sequence[str] = field(default=(), compare=False)


@frozen
class Envelope:
    """RFC 5321's envelope. Domains are in their ASCII form; `smtputf8` tells that a local part needs RFC 6531."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    smtputf8: bool = False


@frozen
class WireMail:
    """A composed mail: final bytes with CRLF line ends and a last CRLF, not yet dot-stuffed (that is the transport's).

    `checked` is the composer's word that all of this holds for envelope and content: no other line end than CRLF, no NUL,
    addresses that SMTP can carry. A transport looks for itself where nobody vouches.
    """

    envelope: Envelope
    content: bytes
    checked: bool = False
