"""RFC 2047's encoded-words, RFC 5322's phrases, and folding: how text becomes the lines of a header field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.charset import Charset
from functools import lru_cache
from itertools import chain, repeat

LINE = 78  # RFC 5322 §2.1.1: a line should be no longer, without its CRLF
MAX_LINE = 998  # … and must be no longer
WORD = 75  # RFC 2047 §2: one encoded-word
FOLD = "\r\n "
WORDS_CACHED = 2048  # names and subjects come again; with CACHED_CHARS at most about 2 MB
CACHED_CHARS = 128

_UTF8 = Charset("utf-8")  # encodes a header in the shorter of Q and B
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TOKENS = re.compile(r" *[^ ]+")
_BLANKS = re.compile(r" {2,}")
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def reads_literally(text: str) -> bool:
    """Whether a reader takes these characters as they stand: ASCII without anything that looks like an encoded-word."""
    return text.isascii() and "=?" not in text


def encoded_words(text: str, room: int) -> str:
    """The whole text as encoded-words, each within 75 characters, folded so that all lines keep to 78.

    Args:
        text: at least one character, none of them a control character.
        room: characters left on the first line.
    """
    if len(text) <= CACHED_CHARS:
        return _cached_words(text, room)
    return _encode_words(text, room)


def _encode_words(text: str, room: int) -> str:
    word = _UTF8.header_encode(text) if len(text) <= WORD else ""
    if word and len(word) <= min(room, WORD):
        return word
    rooms = chain((min(room, WORD),), repeat(WORD))
    # None in front says that not one character fits into `room`: the field's name then stands alone on its line.
    words: Iterable[str | None] = _UTF8.header_encode_lines(text, rooms)
    return FOLD.join(word or "" for word in words)


_cached_words = lru_cache(maxsize=WORDS_CACHED)(_encode_words)


def fold(line: str, longest: int) -> str | None:
    """Fold an ASCII header field before its blanks, so that unfolding gives it back to the letter (RFC 5322 §2.2.3).

    The first word stays beside the field's name, because some readers take a line with nothing but a name for an empty field.

    Args:
        line: name, colon, blank, value; no blanks at its end.
        longest: what a line may have where one word does not fit into 78 characters.

    Returns:
        The lines joined by CRLF, or None where one would be longer than `longest`.
    """
    if len(line) <= LINE:
        return line
    tokens = _TOKENS.findall(line)
    lines: list[str] = []
    current = "".join(tokens[:2])
    for token in tokens[2:]:
        if len(current) + len(token) > LINE:
            lines.append(current)
            current = token
        else:
            current += token
    lines.append(current)
    return "\r\n".join(lines) if all(len(each) <= longest for each in lines) else None


def display_name(name: str) -> str:
    """A name without outer blanks and with single inner ones, which is all that RFC 5322's phrase can carry."""
    return _BLANKS.sub(" ", name.strip(" ")) if "  " in name or name[:1] == " " or name[-1:] == " " else name


def mailbox(name: str, address: str, room: int) -> str:
    """`Ann <ann@example.org>`, quoted, encoded and folded as its name asks for (RFC 5322 §3.4).

    Args:
        name: the display name, maybe empty; no control characters.
        address: the addr-spec in the form that crosses the wire.
        room: characters left on the first line.
    """
    name = display_name(name)
    if not name:
        return address
    if reads_literally(name):
        phrase = name if _ATOMS.fullmatch(name) else f'"{name.translate(_QUOTED)}"'
        if len(phrase) + len(address) + 3 <= room:
            return f"{phrase} <{address}>"
        if len(phrase) <= room:
            return f"{phrase}{FOLD}<{address}>"
    words = encoded_words(name, room)
    last = len(words) - words.rfind("\n") - 1 if "\n" in words else LINE - room + len(words)
    return f"{words} <{address}>" if last + len(address) + 3 <= LINE else f"{words}{FOLD}<{address}>"
