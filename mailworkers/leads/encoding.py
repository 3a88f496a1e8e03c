"""Which characters a file's bytes are, told from its first ones, in words that its owner understands."""

from __future__ import annotations

import codecs
from typing import Final

from mailworkers.errors import LeadsError

UTF_8: Final = "utf-8-sig"
WESTERN: Final = "cp1252"  # what spreadsheets write in western countries, a superset of Latin-1

_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NO_TEXT = (
    (b"PK\x03\x04", "is an Excel workbook or another zip archive", "Save it as CSV UTF-8, or unzip it"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook", "Save it as CSV UTF-8"),
    (b"\x1f\x8b", "is compressed with gzip", "Unpack it on the way: zcat FILE | mailworkers leads import -"),
    (b"%PDF", "is a PDF document", "Give a CSV or JSON Lines file"),
)


def told(head: bytes, name: str) -> str:
    """The encoding of what begins with `head`.

    Args:
        head: the first bytes; the last character may be cut.
        name: of the file, for the message.

    Raises:
        LeadsError: it is no text.
    """
    for magic, what, hint in _NO_TEXT:
        if head.startswith(magic):
            raise LeadsError(f"{name} {what}", hint)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        # Of UTF-16, every other byte of western text is zero, and hardly one of the others.
        if max(even, odd) < len(head) // 8 or min(even, odd) > max(even, odd) // 8:
            raise LeadsError(f"{name} holds zero bytes: it is no text file", "Save it as CSV UTF-8")
        return "utf-16-be" if even > odd else "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return WESTERN
    return UTF_8


def known(name: str) -> str:
    """An encoding that somebody asks for, as Python calls it.

    Raises:
        LeadsError: there is none of this name.
    """
    try:
        found = codecs.lookup(name).name
    except LookupError:
        raise LeadsError(f"there is no encoding {name}", "Try utf-8, utf-16, latin-1 or cp1252") from None
    return UTF_8 if found == "utf-8" else found
