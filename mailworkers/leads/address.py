"""One mailbox, one spelling: addresses checked by email-validator, strictly, and stored as SMTP can carry them.

The local part stays as written but for Unicode's composed form, and RFC 2142's mailboxes such as Info@, which are the same in
any case. The domain is in lower case and in ASCII (A-labels, RFC 5890), so that `büro.example` and `xn--bro-hoa.example` are one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import MAX_ADDRESS_OCTETS, MAX_DOMAIN_OCTETS, MAX_LOCAL_OCTETS, wire_address

DOMAINS_REMEMBERED: Final = 32_768  # a list repeats its domains; about 8 MB
JUDGEMENTS_REMEMBERED: Final = 1024  # and what people write where they have no address

# The library takes some 60 µs for an address, a file of millions holds nearly only such as these: they are those of which
# it says "valid" and which it leaves as they are, but for the case of the domain.
_ATOM = r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]+"
_is_plain = re.compile(rf"{_ATOM}(?:\.{_ATOM})*").fullmatch
_LABEL = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=.*[a-z]\Z){_LABEL}\Z")
_RESERVED = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)
_FOLDED = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)
LONGEST_FOLDED: Final = max(map(len, _FOLDED))


class NotAnAddress(ValueError):
    """`str()` of it is the reason, a sentence without its full stop."""


def normalized(written: str) -> str:
    """The one spelling of an address.

    Args:
        written: as somebody wrote it; blanks around it do not count.

    Raises:
        NotAnAddress: no mail could reach it, or only in a private network (`.local`, `.invalid` and others of RFC 6761).
    """
    stripped = written.strip()
    local, _, domain = stripped.rpartition("@")
    if (
        _is_plain(local)
        and len(local) <= MAX_LOCAL_OCTETS
        and (len(local) > LONGEST_FOLDED or local.lower() not in _FOLDED)
    ):
        in_ascii = _ascii_domain(domain)
        if in_ascii is not None and len(stripped) + len(in_ascii) <= MAX_ADDRESS_OCTETS:
            return f"{local}@{in_ascii}"
    fine, told = _judged(stripped)
    if not fine:
        raise NotAnAddress(told)
    return told


@lru_cache(maxsize=DOMAINS_REMEMBERED)
def _ascii_domain(domain: str) -> str | None:
    """A domain's A-labels in lower case; None where it is none, or is one that makes the address too long."""
    lowered = domain.lower()
    if len(lowered) <= MAX_DOMAIN_OCTETS and _PLAIN_DOMAIN.match(lowered) and not lowered.endswith(_RESERVED):
        return lowered
    fine, told = _judged(f"a@{domain}")
    return told.removeprefix("a@") if fine else None


@lru_cache(maxsize=JUDGEMENTS_REMEMBERED)
def _judged(stripped: str) -> tuple[bool, str]:
    """By the library: whether it is an address, and its one spelling, or why it is none."""
    if not stripped:
        return False, "there is no address"
    try:
        found = validate_email(stripped, check_deliverability=False, strict=True)
        # The composer counts octets where the library counts characters.
        return True, wire_address(f"{found.local_part}@{found.ascii_domain.lower()}", "the address")
    except EmailNotValidError as problem:
        return False, str(problem).rstrip(".")
    except ComposeError as problem:
        return False, problem.message
