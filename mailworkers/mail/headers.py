"""What a header field may hold: which extra headers a row may ask for, and which characters no field may contain.

The same rules stand in the database as CHECK constraints (`are_headers`, `is_one_line`), which refuse a bad row at
INSERT; here they hold for every other way to a message. A test keeps the two lists of names equal.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailworkers.errors import ComposeError

FREE_TEXT_NAMES = frozenset({"comments", "keywords", "organization"})
"""Text for people: anything may stand in it, as RFC 2047's encoded-words where it must."""

TOKEN_NAMES = frozenset(
    {"auto-submitted", "feedback-id", "importance", "in-reply-to", "precedence", "priority", "references"}
)
"""Message-IDs, URIs and keywords, which programs compare byte by byte: ASCII, never encoded."""

ALLOWED_NAMES = FREE_TEXT_NAMES | TOKEN_NAMES
"""Extra headers a row may ask for, in lower case, beside X-… and List-…. What the composer or a relay sets (From, To,
Cc, Bcc, Subject, Date, Message-ID, Sender, MIME-Version, Content-…, Return-Path, Received, DKIM-Signature …) is not
among them, so that no row can forge it."""

PREFIXED_NAME = re.compile(r"(?:x|list)-[a-z0-9-]+")
NAMES_CACHED = 256
MAX_NAME_CHARS = 60  # RFC 5322 lets a name fill its line; longer ones than this leave no room to fold beside them
MAX_FIELD_CHARS = 10_000  # relays cut or refuse headers near 100 KB (Postfix: 102,400 octets): ten of these at most
MAX_EXTRA_CHARS = 50_000  # all extra headers together, for the same reason

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_one_line(text: str, field: str) -> None:
    """Refuse what could begin another header or cannot be written at all.

    Control characters (C0 with TAB, DEL, C1), the Unicode line and paragraph separators, and surrogates. Nothing is
    repaired: a name with a line end in it is an attack or a mistake, and either should be seen.

    Args:
        text: the value as the row gave it.
        field: its name in the row, for the message.

    Raises:
        ComposeError: naming the field, the character and where it stands.
    """
    if len(text) > MAX_FIELD_CHARS:
        raise ComposeError(f"{field} has {len(text)} characters; at most {MAX_FIELD_CHARS} are allowed")
    if text.isprintable():  # in C, and true of nearly everything: none of the forbidden characters is printable
        return
    found = _FORBIDDEN.search(text)
    if found:
        raise ComposeError(
            f"{field} contains the control character U+{ord(found[0]):04X} at position {found.start() + 1}",
            "Remove line breaks, tabs and other control characters",
        )


@lru_cache(maxsize=NAMES_CACHED)
def check_header_name(name: str) -> str:
    """The name in lower case, if a row may ask for it.

    Raises:
        ComposeError: where it is not in the allow-list, or no header name at all (RFC 5322 §2.2).
    """
    lower = name.lower()
    if lower not in ALLOWED_NAMES and not PREFIXED_NAME.fullmatch(lower):
        raise ComposeError(
            f"headers: {_shown(name)} may not be set",
            f"Use X-…, List-… or one of {', '.join(sorted(ALLOWED_NAMES))}",
        )
    if len(name) > MAX_NAME_CHARS:
        raise ComposeError(f"headers: the name {_shown(name)} is longer than {MAX_NAME_CHARS} characters")
    return lower


def _shown(name: str) -> str:
    """On one line and short, whatever it holds."""
    return ascii(name if len(name) <= 40 else name[:40] + "…")
