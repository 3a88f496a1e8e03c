"""The header fields of a message, by RFC 5322."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from mailworkers.errors import ComposeError
from mailworkers.mail.composer.envelope import Addresses
from mailworkers.mail.composer.words import FOLD, LINE, MAX_LINE, encoded_words, fold, mailbox, reads_literally
from mailworkers.mail.headers import (
    MAX_EXTRA_CHARS,
    TOKEN_NAMES,
    check_header_name,
    check_one_line,
)
from mailworkers.mail.message import Address, Message

FIELDS_CACHED = 256  # senders and reply addresses of the campaigns under way

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DOT_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_MESSAGE_ID = re.compile(rf"{_DOT_ATOM}@{_DOT_ATOM}")
MAX_MESSAGE_ID_CHARS = 400  # a local part and a domain at their longest; it cannot be folded


def head(message: Message, addresses: Addresses) -> str:
    """All header fields but the MIME ones of the body, without the last CRLF. bcc is in none of them.

    Raises:
        ComposeError: naming the row's field and the reason.
    """
    sender, to = message.sender, message.to
    check_one_line(sender.name, "from_name")
    check_one_line(to.name, "to_name")
    fields = [
        _cached_address_field("From", sender.name, addresses.sender),
        address_field("To", to.name, addresses.to),
    ]
    if message.cc:
        fields.append(_list_field("Cc", message.cc, addresses.cc))
    if message.reply_to:
        check_one_line(message.reply_to.name, "reply_to")
        fields.append(_cached_address_field("Reply-To", message.reply_to.name, addresses.reply_to))
    fields += (
        text_field("Subject", message.subject, "subject"),
        f"Date: {_cached_date(message.date)}",
        f"Message-ID: <{_checked_message_id(message.message_id)}>",
    )
    if message.headers:
        fields += _extra_fields(message.headers)
    fields.append("MIME-Version: 1.0")
    return "\r\n".join(fields)


def address_field(name: str, shown: str, address: str) -> str:
    """One mailbox, such as `From: Ann <ann@example.org>`."""
    return f"{name}: {mailbox(shown, address, LINE - len(name) - 2)}"


_cached_address_field = lru_cache(maxsize=FIELDS_CACHED)(address_field)


def text_field(name: str, value: str, field: str, longest: int = LINE) -> str:
    """An unstructured field (RFC 5322 §3.6.5), encoded where ASCII in lines of at most `longest` will not do.

    Outer blanks are dropped: no reader shows them.

    Args:
        name: of the header.
        value: any text without control characters.
        field: the row's name for it, for the message.
        longest: octets a line may have where one word does not fit into 78.
    """
    check_one_line(value, field)
    value = value.strip(" ")
    if not value:
        return f"{name}:"
    if reads_literally(value):
        line = f"{name}: {value}"
        folded = line if len(line) <= LINE else fold(line, longest)
        if folded is not None:
            return folded
    return f"{name}: {encoded_words(value, LINE - len(name) - 2)}"


def rfc5322_date(date: datetime) -> str:
    """In UTC, by RFC 5322 §3.3.

    Raises:
        ComposeError: where the date is naive.
    """
    if date.tzinfo is not UTC:
        if date.utcoffset() is None:
            raise ComposeError("the date has no time zone")
        date = date.astimezone(UTC)
    return (
        f"{_DAYS[date.weekday()]}, {date.day:02d} {_MONTHS[date.month - 1]} {date.year:04d} "
        f"{date.hour:02d}:{date.minute:02d}:{date.second:02d} +0000"
    )


_cached_date = lru_cache(maxsize=FIELDS_CACHED)(rfc5322_date)  # rows of one transaction share their created_at


def _checked_message_id(message_id: str) -> str:
    if len(message_id) > MAX_MESSAGE_ID_CHARS or not _MESSAGE_ID.fullmatch(message_id):
        raise ComposeError("message_id must be two ASCII dot-atoms around an @, without angle brackets")
    return message_id


def _list_field(name: str, listed: Iterable[Address], addresses: Iterable[str]) -> str:
    """Several mailboxes, one a line."""
    field = name.lower()
    lines: list[str] = []
    for index, (address, wire) in enumerate(zip(listed, addresses, strict=True)):
        check_one_line(address.name, f"{field}[{index}]")
        room = LINE - (1 if lines else len(name) + 2) - len(",")
        lines.append(mailbox(address.name, wire, room))
    return f"{name}: {f',{FOLD}'.join(lines)}"


def _extra_fields(headers: Mapping[str, str]) -> list[str]:
    """The headers a row asks for, in its order."""
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_EXTRA_CHARS:
        raise ComposeError(f"headers have more than {MAX_EXTRA_CHARS} characters together")
    fields: dict[str, str] = {}
    for name, value in headers.items():
        lower = check_header_name(name)
        if lower in fields:
            raise ComposeError(f"headers: {name} is given twice")
        if lower in TOKEN_NAMES or lower.startswith("list-"):
            fields[lower] = _token_field(name, value)
        else:
            fields[lower] = text_field(name, value, f"headers: {name}", MAX_LINE)
    return list(fields.values())


def _token_field(name: str, value: str) -> str:
    """A field that programs read byte by byte, where an encoded-word would be taken for what it looks like."""
    field = f"headers: {name}"
    check_one_line(value, field)
    if not value.isascii():
        raise ComposeError(
            f"{field} must be ASCII", "Percent-encode a URI; write a name as an encoded-word of RFC 2047"
        )
    folded = fold(f"{name}: {value.strip(' ')}".rstrip(" "), MAX_LINE)
    if folded is None:
        raise ComposeError(f"{field} has a word that does not fit into a line of {MAX_LINE} characters")
    return folded
