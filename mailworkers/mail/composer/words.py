"""RFC 2047's encoded-words, RFC 5322's phrases, and folding: how text becomes the lines of a header field."""

from __future__ import annotations

import re
from binascii import b2a_base64

LINE = 78  # RFC 5322 §2.1.1: a line should be no longer, without its CRLF
MAX_LINE = 998  # … and must be no longer
WORD = 75  # RFC 2047 §2: one encoded-word
FOLD = "\r\n "
CHROME = len("=?utf-8?q??=")  # what an encoded-word has around its text

# Q's octets that stand for themselves in every place of a header (RFC 2047 §5, the last of its three rules).
_Q_SAFE = b"!*+-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_Q = tuple("_" if octet == ord(" ") else chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in range(256))
_Q_INNER = frozenset({"=8", "=9", "=A", "=B"})  # how the octets after a character's first begin in Q (RFC 3629 §3)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TOKENS = re.compile(r" *[^ ]+")
_BLANKS = re.compile(r" {2,}")
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def reads_literally(text: str) -> bool:
    """Whether a reader takes these characters as they stand: ASCII without anything that looks like an encoded-word."""
    return text.isascii() and "=?" not in text


def encoded_words(text: str, room: int) -> str:
    """The whole text as encoded-words, each within 75 characters, folded so that all lines keep to 78.

    In the shorter of Q and B, and never with a character in two words (RFC 2047 §5). The same as the standard library's
    `Charset.header_encode_lines`, which measures a line anew with each of its characters.

    Args:
        text: at least one character, none of them a control character.
        room: characters left on the first line. Where not one character fits, the field's name stands alone there.
    """
    data = text.encode()
    quoted = "".join([_Q[octet] for octet in data])
    first, others = min(room, WORD) - CHROME, WORD - CHROME
    if (len(data) + 2) // 3 * 4 < len(quoted):
        return _b_words(data, first, others)
    return _q_words(quoted, first, others)


def _q_words(quoted: str, room: int, others: int) -> str:
    words: list[str] = []
    start = 0
    while len(quoted) - start > room:
        end = _q_end(quoted, start, start + max(room, 0))
        words.append(f"=?utf-8?q?{quoted[start:end]}?=" if end > start else "")
        start, room = end, others
    words.append(f"=?utf-8?q?{quoted[start:]}?=")
    return FOLD.join(words)


def _q_end(quoted: str, start: int, end: int) -> int:
    """The last place between two characters, up to `end`."""
    escape = quoted.rfind("=", max(start, end - 2), end)
    if escape >= 0:
        end = escape
    while quoted[end : end + 2] in _Q_INNER:
        end -= 3
    return end


def _b_words(data: bytes, room: int, others: int) -> str:
    words: list[str] = []
    start = 0
    while (len(data) - start + 2) // 3 * 4 > room:
        end = start + max(room, 0) // 4 * 3
        while data[end] & 0xC0 == 0x80:  # within a character (RFC 3629 §3)
            end -= 1
        words.append(_b_word(data[start:end]) if end > start else "")
        start, room = end, others
    words.append(_b_word(data[start:]))
    return FOLD.join(words)


def _b_word(data: bytes) -> str:
    return f"=?utf-8?b?{b2a_base64(data, newline=False).decode('ascii')}?="


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
