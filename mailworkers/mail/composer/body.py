"""The tree of MIME parts: which part stands within which, and the boundaries between them (RFC 2046 §5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from mailworkers.errors import ComposeError
from mailworkers.mail.composer.attachment import attachment_part
from mailworkers.mail.composer.text import text_part
from mailworkers.mail.message import Message

MAX_CONTENT_BYTES = 25 * 1024 * 1024  # bodies and files before encoding: what the large mailbox providers take
TOKEN_BYTES = 12  # of a boundary's hash

Entity = list[bytes]
"""Header fields, blank line and content in pieces that are joined once, so that a large file is copied once."""


def body(message: Message) -> Entity:
    """Content-Type and all that follows it.

        mixed ── alternative ── text/plain
          │           └──────── related ── text/html
          │                        └────── inline files (those with a content_id)
          └───── attached files

    Each multipart only where it has two parts at least. Without HTML there is nothing to be inline in: all files are attached.

    Raises:
        ComposeError: naming the row's field and the reason.
    """
    _check_size(message)
    text, html = message.text_body, message.html_body
    texts = [text_part(text, "plain", "text_body", message.text_pieces)] if text is not None else []
    htmls = [text_part(html, "html", "html_body", message.html_pieces)] if html is not None else []
    if not (texts or htmls):
        raise ComposeError("the message has neither text_body nor html_body")
    if not message.attachments and not (texts and htmls):
        return texts or htmls
    inline, attached = _files(message)
    token = _boundary_token(message.message_id, (*texts, *htmls, *inline, *attached))

    shown: list[Entity] = [[part] for part in texts]
    if inline:
        shown.append(_multipart('related; type="text/html"', "R" + token, [[part] for part in htmls + inline]))
    else:
        shown += [[part] for part in htmls]
    entity = shown[0] if len(shown) == 1 else _multipart("alternative", "A" + token, shown)
    if attached:
        entity = _multipart("mixed", "M" + token, [entity, *([part] for part in attached)])
    return entity


def _files(message: Message) -> tuple[list[bytes], list[bytes]]:
    """The parts of inline and of attached files."""
    inline: list[bytes] = []
    attached: list[bytes] = []
    for index, attachment in enumerate(message.attachments):
        field = f"attachments[{index}]"
        if attachment.content_id and message.html_body is not None:
            inline.append(attachment_part(attachment, "inline", field))
        else:
            attached.append(attachment_part(attachment, "attachment", field))
    return inline, attached


def _multipart(subtype: str, boundary: str, parts: Sequence[Entity]) -> Entity:
    separator = f"\r\n--=_{boundary}\r\n".encode("ascii")
    pieces = [f'Content-Type: multipart/{subtype};\r\n boundary="=_{boundary}"\r\n'.encode("ascii")]
    for part in parts:
        pieces.append(separator)
        pieces += part
    pieces.append(f"\r\n--=_{boundary}--\r\n".encode("ascii"))
    return pieces


def _boundary_token(message_id: str, parts: Sequence[bytes]) -> str:
    """The same for the same message, and nowhere in its parts. Only 7bit text could hold it at all, if its writer knew the
    Message-ID: neither base64 nor quoted-printable can hold the `=_` before it."""
    digest = blake2b(message_id.encode(), digest_size=TOKEN_BYTES)
    while True:
        token = digest.hexdigest()
        needle = token.encode("ascii")
        for part in parts:
            if needle in part:
                break
        else:
            return token
        digest.update(b"again")


def _check_size(message: Message) -> None:
    texts = (message.text_body or "", message.html_body or "")
    size = len(texts[0]) + len(texts[1])
    if message.attachments:
        size += sum(len(attachment.content) for attachment in message.attachments)
    if size * 4 > MAX_CONTENT_BYTES:  # a character has four octets at most: only here is it worth counting them
        size += sum(len(text.encode("utf-8", "surrogatepass")) - len(text) for text in texts)
    if size > MAX_CONTENT_BYTES:
        megabytes = size / (1024 * 1024)
        raise ComposeError(
            f"text_body, html_body and attachments have {megabytes:.1f} MB; at most "
            f"{MAX_CONTENT_BYTES // (1024 * 1024)} MB are allowed",
            "Put large files on the web and send a link",
        )
