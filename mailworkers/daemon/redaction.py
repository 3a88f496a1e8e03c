"""What must not stand in a log: mail addresses, bodies and secrets.

Logs are copied to places that nobody thinks of when a customer asks to be forgotten. Which mail went where is in SQL.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict

HIDDEN = "[hidden]"
ADDRESS = "[address]"

SECRET_KEYS = frozenset(
    {"password", "smtp_password", "smtp_pass", "api_key", "authorization", "token", "secret", "database_url", "dsn"}
)
CONTENT_KEYS = frozenset(
    {
        *("to_email", "to_name", "from_email", "from_name", "reply_to", "cc", "bcc", "email", "recipient", "sender"),
        *("subject", "text_body", "html_body", "body", "content", "payload", "data", "headers", "attachments"),
    }
)  # fmt: skip

# A URL's user and password; greedy to the last @ of the word, since a password may hold one. The bounds here and the
# look-behind below keep hostile text, such as a relay's reply, from costing quadratic time.
URL_CREDENTIALS = re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s\"'<>]{0,500}@", re.IGNORECASE)
# password=… of a libpq connection string or a query part, and what follows an authorization's scheme.
NAMED_SECRET = re.compile(r"\b(\w*(?:password|passwd|secret|api_key|token)=)(?:'[^']*'|[^\s&]+)", re.IGNORECASE)
AUTHORIZATION = re.compile(r"\b(Authorization: *\w+|Bearer|AUTH (?:PLAIN|LOGIN)) +\S{6,}")
# Anything with an @ inside: rather one word too many than one address.
LOCAL_PART = r"[^\s<>()\[\],;:\"'@=]"
MAIL_ADDRESS = re.compile(rf"(?:\"[^\"]*\"|(?<!{LOCAL_PART}){LOCAL_PART}+)@[^\s<>()\[\],;:\"'@]+")
# A relay's reply must not steer the terminal on which the log is read.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def redact(_logger: object, method: str, event: EventDict) -> EventDict:
    """A structlog processor: secrets vanish at every level, addresses and content from INFO on.

    Works on keys that are known and on what text looks like, in the event, its values and a formatted exception.
    """
    level = logging.getLevelName(str(event.get("level", method)).upper())
    quiet = not isinstance(level, int) or level >= logging.INFO
    return {key: _clean_value(key, value, quiet) for key, value in event.items()}


def clean_text(text: str, quiet: bool = True) -> str:
    """`text` without secrets and, where `quiet`, without mail addresses."""
    text = text.translate(CONTROL)
    if "@" in text:
        text = URL_CREDENTIALS.sub(rf"\1{HIDDEN}", text)
        if quiet:
            text = MAIL_ADDRESS.sub(ADDRESS, text)
    if "=" in text:
        text = NAMED_SECRET.sub(rf"\1{HIDDEN}", text)
    return AUTHORIZATION.sub(rf"\1 {HIDDEN}", text)


def _clean_value(key: str, value: Any, quiet: bool) -> Any:
    name = key.lower()
    if value is not None and (name in SECRET_KEYS or (quiet and name in CONTENT_KEYS)):
        return HIDDEN
    return _clean(value, quiet)


def _clean(value: Any, quiet: bool) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return clean_text(value, quiet)
        case Mapping():
            return {clean_text(str(key), quiet): _clean_value(str(key), inner, quiet) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(inner, quiet) for inner in value]
        case _:  # its repr may hold anything
            return clean_text(str(value), quiet)
