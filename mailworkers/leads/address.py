"""One mailbox, one spelling: addresses checked by email-validator, strictly, and stored as SMTP can carry them.

The local part stays as written but for Unicode's composed form, and RFC 2142's mailboxes such as Info@, which are the same in
any case. The domain is in lower case and in ASCII (A-labels, RFC 5890), so that `büro.example` and `xn--bro-hoa.example` are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
_BEHIND = ".example"
LONGEST_PLAIN_DOMAIN: Final = 128  # octets: with the longest local part before it still far from an address's limit
_PLAIN_DOMAINS: dict[str, str] = {}  # of what is written after the @, in ASCII


class NotAnAddress(ValueError):
    """`str()` of it is the reason, a sentence without its full stop."""


def plain_ones(written: Iterable[str]) -> list[str | None]:
    """The one spelling of each address that is plainly one, as `normalized` would give it; None where that is to be asked.

    Args:
        written: as people wrote them.
    """
    found: list[str | None] = []
    known = _PLAIN_DOMAINS.get
    for text in written:
        local, _, domain = text.rpartition("@")
        in_ascii = known(domain) or _plain_domain(domain)
        if in_ascii and len(text) <= MAX_LOCAL_OCTETS and _is_plain(local) and local.lower() not in _FOLDED:
            found.append(text if in_ascii == domain else f"{local}@{in_ascii}")
        else:
            found.append(None)
    return found


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


def _plain_domain(domain: str) -> str:
    """A domain's A-labels; empty where an address with it is to be looked at as a whole."""
    in_ascii = (_ascii_domain(domain) if domain else None) or ""
    if len(in_ascii) > LONGEST_PLAIN_DOMAIN or "@" in domain or domain != domain.strip():
        return ""
    if in_ascii:
        if len(_PLAIN_DOMAINS) >= DOMAINS_REMEMBERED:
            _PLAIN_DOMAINS.clear()
        _PLAIN_DOMAINS[domain] = in_ascii
    return in_ascii


@lru_cache(maxsize=DOMAINS_REMEMBERED)
def _ascii_domain(domain: str) -> str | None:
    """A domain's A-labels in lower case; None where it is none, or is one that makes the address too long."""
    lowered = domain.lower()
    if len(lowered) <= MAX_DOMAIN_OCTETS and _PLAIN_DOMAIN.match(lowered) and not lowered.endswith(_RESERVED):
        return lowered
    if not domain.isascii() and (by_labels := _converted(domain)) is not None:
        return by_labels
    fine, told = _judged(f"a@{domain}")
    return told.removeprefix("a@") if fine else None


def _converted(domain: str) -> str | None:
    """The same for a domain of which some labels are international, label by label: they repeat more often than domains.
    None where the whole is to be judged.
    """
    labels = [label.lower() if label.isascii() else _ascii_label(label) for label in domain.split(".")]
    converted = ".".join(labels)
    # What the library has taken is not judged once more: it stands for a plain label of its length.
    as_if = ".".join(
        label if part.isascii() else "a" * len(label) for label, part in zip(labels, domain.split("."), strict=True)
    )
    fits = len(converted) <= MAX_DOMAIN_OCTETS and _PLAIN_DOMAIN.match(as_if) and domain.rpartition(".")[2].isascii()
    return converted if fits and not converted.endswith(_RESERVED) else None


@lru_cache(maxsize=JUDGEMENTS_REMEMBERED)
def _ascii_label(label: str) -> str:
    """One label's A-label; empty where it is none, or becomes several."""
    fine, told = _judged(f"a@{label}{_BEHIND}")
    found = told.removeprefix("a@").removesuffix(_BEHIND)
    return found if fine and "." not in found else ""


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
