"""A text part, in the transfer encoding that fits its content."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence

from mailworkers.errors import ComposeError
from mailworkers.mail.composer.cache import PartCache
from mailworkers.mail.composer.quoted import quoted_is_better, quoted_pieces, quoted_printable

LONGEST_7BIT = 990  # RFC 5321 §4.5.3.1.6 allows 998; old sendmails break a line after 990
BASE64_LINE = 76  # RFC 2045 §6.8
CACHE_BYTES = 4 * 1024 * 1024  # some hundred bodies; a small VPS does not feel it

_HEAD_7BIT = {
    subtype: f"Content-Type: text/{subtype}; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n".encode(
        "ascii"
    )
    for subtype in ("plain", "html")
}

_encoded = PartCache(CACHE_BYTES)


def text_part(text: str, subtype: str, field: str, pieces: Sequence[str] = ()) -> bytes:
    """One text/plain or text/html part with its header fields; it ends with CRLF.

    Every line end (CR, LF, CRLF) becomes CRLF, and a last line without one gets it. ASCII in lines of at most 990 stays as
    it is; else the shorter of quoted-printable and base64 is taken, quoted-printable where they are near.

    Args:
        text: the body as the row gave it, maybe empty.
        subtype: `plain` or `html`.
        field: the row's name for it, for the message.
        pieces: of which a template joined the text, so that what stands in other mails, too, is encoded once.

    Raises:
        ComposeError: for NUL, which RFC 5322 forbids in every body, and for what UTF-8 cannot hold.
    """
    if "\0" in text:
        raise ComposeError(f"{field} contains the character U+0000 at position {text.index(chr(0)) + 1}")
    if text.isascii() and _has_short_lines(text):
        return _HEAD_7BIT[subtype] + _crlf(text.encode("ascii"))
    if len(pieces) > 1:  # written for one reader: it will not come again
        return _encode(text, subtype, field, pieces)
    key = (subtype, text)
    part = _encoded.get(key)
    if part is None:
        part = _encode(text, subtype, field)
        _encoded.put(key, part, len(part) + 2 * len(text))
    return part


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 with CRLF between them and at the end; nothing for nothing."""
    whole = b2a_base64(data, newline=False)
    lines = [whole[start : start + BASE64_LINE] for start in range(0, len(whole), BASE64_LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)


def _crlf(data: bytes) -> bytes:
    """Every line end as CRLF. On octets, because their `replace` takes a third of the time of a text's."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data = data.replace(b"\n", b"\r\n")
    return data if data.endswith(b"\n") else data + b"\r\n"


def _has_short_lines(text: str) -> bool:
    """Whether no line is longer than LONGEST_7BIT: each step goes to the last line end within reach, past many lines."""
    start = 0
    while len(text) - start > LONGEST_7BIT:
        start = text.rfind("\n", start, start + LONGEST_7BIT + 1) + 1
        if not start:
            return False
    return True


def _encode(text: str, subtype: str, field: str, pieces: Sequence[str] = ()) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as bad:
        raise ComposeError(f"{field} contains a lone surrogate at position {bad.start + 1}") from None
    charset = "us-ascii" if text.isascii() else "utf-8"
    if not quoted_is_better(data):
        name, body = "base64", base64_lines(_crlf(data))
    elif pieces and "\r" not in text:
        name, body = "quoted-printable", quoted_pieces(pieces)
    else:
        name, body = "quoted-printable", quoted_printable(_crlf(data))
    head = f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {name}\r\n\r\n"
    return head.encode("ascii") + body
