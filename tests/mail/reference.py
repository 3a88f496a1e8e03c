"""What a reader must find in a message, by the standard library's own build of it.

The standard library has faults of its own. Each is stepped around where it shows and nowhere else; there, the row itself
says what must be found.

1. The builder takes `=?…?=` inside a subject, name or file name for an encoded-word and decodes it: another text than the row's.
2. Where it folds a field, the builder loses or doubles blanks between encoded-words, and loses the quotes around a name, so
   that a comma in it begins another address.
3. The parser puts a blank between two encoded-words of one display name, where RFC 2047 §6.2 says to drop it. Names are
   read by its older functions (`email.utils`, `email.header`), which do it right.
4. Where the first word of a text field does not fit beside the field's name, the builder folds between them, and the
   parser takes the blank of that fold for a part of the value. Text fields are compared without outer blanks.
5. The builder keeps a name's outer and doubled blanks where it quotes, and drops them where it does not. It gets the name
   without them.
6. The builder puts an IDN into an encoded-word, which RFC 2047 §5 forbids. It gets the A-labels.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import Address as BuiltAddress
from email.message import EmailMessage, MIMEPart
from email.message import Message as ParsedMessage
from email.utils import getaddresses

from mailworkers.mail.addresses import wire_address
from mailworkers.mail.composer.words import display_name
from mailworkers.mail.message import Address, Attachment, Message

ADDRESS_FIELDS = ("from", "to", "cc", "reply-to")
SPECIALS = re.compile(r"[^A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]")  # what makes a name need quotes
MIME_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version")


@dataclass(frozen=True)
class Part:
    """One leaf of the tree of parts, as read."""

    path: tuple[str, ...]
    disposition: str | None
    filename: str | None
    content_id: str | None
    content: str | bytes


@dataclass(frozen=True)
class Reading:
    """What a reader finds: text fields, addresses, parts."""

    fields: dict[str, str]
    addresses: dict[str, list[tuple[str, str]]]
    parts: list[Part]


def expected(message: Message) -> Reading:
    """What a reader must find in any build of the message."""
    older = message_from_bytes(build(message), policy=policy.compat32)
    texts = {"subject": message.subject, **{name.lower(): value for name, value in (message.headers or {}).items()}}
    names = {"from": [message.sender], "to": [message.to], "cc": list(message.cc)}
    names["reply-to"] = [message.reply_to] if message.reply_to else []
    wrong_texts = {name for name, text in texts.items() if _is_misbuilt(text, older[name])}
    wrong_names = {
        name for name, rows in names.items() if any(_is_misbuilt(row.name, older[name], is_name=True) for row in rows)
    }
    found = read(build(message, without=wrong_texts | wrong_names))
    found.fields.update({name: texts[name].strip(" ") for name in wrong_texts})
    found.addresses.update(
        {
            field: [(display_name(row.name), wire_address(row.email, field)) for row in names[field]]
            for field in wrong_names
        }
    )
    return replace(found, parts=_with_true_filenames(found.parts, message))


def _is_misbuilt(text: str, raw: object, *, is_name: bool = False) -> bool:
    """Faults 1 and 2."""
    plain = text.isascii() and not (is_name and SPECIALS.search(text))
    return "=?" in text or ("\n" in str(raw) and not plain)


def _with_true_filenames(parts: list[Part], message: Message) -> list[Part]:
    """Fault 1, for file names: the files follow one another as inline and attached ones. `get_filename` drops outer blanks."""
    has_html = message.html_body is not None
    inline = [file.filename for file in message.attachments if has_html and file.content_id]
    attached = [file.filename for file in message.attachments if not (has_html and file.content_id)]
    names = iter([*inline, *attached])
    return [
        replace(part, filename=true.strip()) if part.disposition and "=?" in (true := next(names)) else part
        for part in parts
    ]


def build(message: Message, without: Collection[str] = ()) -> bytes:
    """The message as `EmailMessage` builds it, but for header fields whose names (in lower case) are in `without`."""
    built = EmailMessage(policy=policy.SMTPUTF8 if _needs_utf8(message) else policy.SMTP)
    built["From"] = _built(message.sender)
    built["To"] = _built(message.to)
    if message.cc:
        built["Cc"] = [_built(address) for address in message.cc]
    if message.reply_to:
        built["Reply-To"] = _built(message.reply_to)
    built["Subject"] = message.subject.strip(" ")
    built["Date"] = message.date
    built["Message-ID"] = f"<{message.message_id}>"
    for name, value in (message.headers or {}).items():
        built[name] = value.strip(" ")
    for name in without:
        del built[name]
    _add_bodies(built, message)
    return built.as_bytes()


def read(content: bytes) -> Reading:
    """Everything in it that a person or program would see."""
    parsed = message_from_bytes(content, policy=policy.SMTPUTF8)
    assert isinstance(parsed, EmailMessage)
    older = message_from_bytes(content, policy=policy.compat32)
    fields = {name.lower(): str(value).strip(" ") for name, value in parsed.items()}
    assert len(fields) == len(parsed.items()), "no field comes twice"
    return Reading(
        fields={name: value for name, value in fields.items() if name not in (*ADDRESS_FIELDS, *MIME_FIELDS)},
        addresses={name: _addresses(older, name) for name in ADDRESS_FIELDS},
        parts=list(_leaves(parsed, ())),
    )


def _needs_utf8(message: Message) -> bool:
    shown = [message.sender, message.to, *message.cc, *([message.reply_to] if message.reply_to else [])]
    return not all(wire_address(address.email, "email").isascii() for address in shown)


def _built(address: Address) -> BuiltAddress:
    username, _, domain = wire_address(address.email, "email").rpartition("@")
    return BuiltAddress(display_name(address.name), username, domain)


def _add_bodies(built: EmailMessage, message: Message) -> None:
    if message.text_body is not None:
        built.set_content(message.text_body)
    if message.html_body is not None:
        if message.text_body is not None:
            built.add_alternative(message.html_body, subtype="html")
        else:
            built.set_content(message.html_body, subtype="html")
    for attachment in message.attachments:
        if attachment.content_id and message.html_body is not None:
            html = built.get_body(("related", "html"))
            assert isinstance(html, EmailMessage)
            _add(html, attachment, "related", "inline")
    for attachment in message.attachments:
        if not (attachment.content_id and message.html_body is not None):
            _add(built, attachment, "mixed", "attachment")


def _add(built: EmailMessage, attachment: Attachment, how: str, disposition: str) -> None:
    maintype, _, subtype = attachment.content_type.partition("/")
    content_id = f"<{attachment.content_id}>" if attachment.content_id else None
    add = built.add_related if how == "related" else built.add_attachment
    add(
        attachment.content,
        maintype=maintype,
        subtype=subtype,
        disposition=disposition,
        filename=attachment.filename or None,
        cid=content_id,
    )


def _addresses(older: ParsedMessage, name: str) -> list[tuple[str, str]]:
    values = [str(value).replace("\r\n", "").replace("\n", "") for value in older.get_all(name, [])]
    return [(str(make_header(decode_header(shown))), email) for shown, email in getaddresses(values)]


def _leaves(part: MIMEPart, path: tuple[str, ...]) -> list[Part]:
    path = (*path, part.get_content_type())
    assert not part.defects, part.defects
    if part.is_multipart():
        return [leaf for child in part.iter_parts() for leaf in _leaves(child, path)]
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    body = part.get_content() if part.get_content_disposition() is None else content
    return [Part(path, part.get_content_disposition(), part.get_filename(), part["Content-ID"], body)]
