"""Which characters a file's bytes are, told from its first ones, in words that its owner understands."""

from __future__ import annotations

import codecs
from typing import Final

from mailworkers.errors import LeadsError

UTF_8: Final = "utf-8-sig"
WESTERN: Final = "cp1252"  # what spreadsheets write in western countries, a superset of Latin-1

_SPOKEN: Final = {UTF_8: "UTF-8", "ascii": "ASCII"}
_WIDE: Final = ("utf-16", "utf-32")  # in them each line's end holds a zero byte

_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
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
    _refuse_no_text(head, name)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        # Of UTF-16, every other byte of western text is zero, and hardly one of the others.
        if max(even, odd) < len(head) // 8 or min(even, odd) > max(even, odd) // 8:
            raise LeadsError(f"{name} holds zero bytes: it is no text file", "Save it as CSV UTF-8")
        return "utf-16-be" if even > odd else "utf-16-le"
    return UTF_8 if _fits(head, "utf-8") else WESTERN


def asked(head: bytes, name: str, wanted: str) -> tuple[str, tuple[str, ...]]:
    """The encoding that somebody asks for, and what its owner should know before the rows are read so.

    Args:
        head: the first bytes; the last character may be cut.
        name: of the file, for the messages.
        wanted: as somebody calls it.

    Raises:
        LeadsError: there is none of this name, or the file cannot be in it.
    """
    chosen = known(wanted)
    _refuse_no_text(head, name)
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    wide = chosen.startswith(_WIDE)
    if wide and head and b"\0" not in head:
        raise LeadsError(
            f"{name} is not {wanted}: it holds no zero bytes", "Leave out --encoding, or give the right one"
        )
    if marked in _WIDE and not chosen.startswith(marked):
        raise LeadsError(f"{name} is {marked.upper()}, not {wanted}", "Leave out --encoding")
    if not wide and chosen != UTF_8 and not head.isascii() and _fits(head, "utf-8") and _fits(head, chosen):
        doubt = (
            f"read as {wanted}, but it looks like UTF-8: if names come out wrong, import it again without --encoding"
        )
        return chosen, (doubt,)
    return chosen, ()


def unfit(rows: int, of: int, encoding: str) -> str:
    """What to tell of rows whose bytes do not fit the encoding that the file was read in.

    Args:
        rows: how many.
        of: how many were read.
        encoding: as Python calls it.
    """
    others = [other for other in (UTF_8, WESTERN, "latin-1") if known(other) != known(encoding)][:2]
    named = " or ".join(f"--encoding {other.removesuffix('-sig')}" for other in others)
    return (
        f"{rows:,} of {of:,} rows are not valid {_SPOKEN.get(encoding, encoding)} and are refused: give the file's own "
        f"encoding, such as {named}, and import it again"
    )


def known(name: str) -> str:
    """An encoding that somebody asks for, as Python calls it.

    Raises:
        LeadsError: there is none of this name.
    """
    try:
        b"a".decode(name, "replace")  # those that are for no texts, or cannot pass over a wrong byte, say so
        found = codecs.lookup(name).name
    except (LookupError, UnicodeError):
        raise LeadsError(f"there is no encoding {name}", "Try utf-8, utf-16, latin-1 or cp1252") from None
    return UTF_8 if found == "utf-8" else found


def _refuse_no_text(head: bytes, name: str) -> None:
    for magic, what, hint in _NO_TEXT:
        if head.startswith(magic):
            raise LeadsError(f"{name} {what}", hint)


def _fits(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True
