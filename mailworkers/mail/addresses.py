"""Mail addresses: which are valid, how they cross the wire, and how a person may write one.

A local part is a dot-atom (RFC 5322 §3.2.3), beyond ASCII as in RFC 6531. Quoted local parts and address literals such as
`[192.0.2.1]` are refused, here as by the database: nobody's customers have them, and parsers disagree about them.
"""

from __future__ import annotations

import re
from functools import lru_cache

import idna

from mailworkers.errors import ComposeError
from mailworkers.mail.headers import check_one_line
from mailworkers.mail.message import Address

MAX_LOCAL_OCTETS = 64  # RFC 5321 §4.5.3.1.1
MAX_DOMAIN_OCTETS = 253  # RFC 1035 §2.3.4: 255 in DNS's own form
MAX_ADDRESS_OCTETS = 254  # RFC 5321 §4.5.3.1.3: a path of 256 with its angle brackets
DOMAINS_CACHED = 4096  # a list of contacts repeats its domains; about 1 MB

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ASCII_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ASCII_ADDRESS = re.compile(rf"(?=[^@]{{1,{MAX_LOCAL_OCTETS}}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_SPECIALS = frozenset('()<>[]:;@\\,"')
_NAMED = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)" *|(?P<plain>[^<>"]*))<(?P<email>[^<>]*)>')


@lru_cache(maxsize=DOMAINS_CACHED)
def ascii_domain(domain: str) -> str:
    """The domain as it goes into envelope, headers and DNS: A-labels (IDNA 2008 after UTS #46's mapping).

    Args:
        domain: as written, such as `firm1.example` or `büro.firm1.example`. Plain ASCII comes back unchanged.

    Raises:
        ComposeError: where it is no domain name.
    """
    encoded = domain
    if not domain.isascii():
        try:
            encoded = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as bad:
            reason = ascii(str(bad))[1:-1]
            raise ComposeError(f"the domain is not a valid internationalized name ({reason})") from None
    if len(encoded) > MAX_DOMAIN_OCTETS:
        raise ComposeError(f"the domain has {len(encoded)} octets; at most {MAX_DOMAIN_OCTETS} are allowed")
    if not _ASCII_DOMAIN.fullmatch(encoded):
        raise ComposeError("the domain must be labels of 1 to 63 letters, digits and inner hyphens, joined by dots")
    return encoded


def wire_address(email: str, field: str) -> str:
    """Check one addr-spec and give it the form that crosses the wire: its domain as A-labels.

    The result is ASCII unless the local part is not; then it needs SMTPUTF8 (RFC 6531).

    Args:
        email: as the row gave it.
        field: its name in the row, for the message. The message never repeats the address itself, so that it may be logged.

    Raises:
        ComposeError: naming the field and the reason.
    """
    if len(email) <= MAX_ADDRESS_OCTETS and _ASCII_ADDRESS.fullmatch(email):
        return email
    local, at, domain = email.rpartition("@")
    if not (at and local and domain) or "@" in local:
        raise ComposeError(f"{field} must be one address with one @, as in ann@example.org")
    problem = _local_problem(local)
    if problem:
        raise ComposeError(f"{field}: the part before the @ {problem}")
    try:
        address = f"{local}@{ascii_domain(domain)}"
    except ComposeError as bad:
        raise ComposeError(f"{field}: {bad.message}") from None
    octets = len(address.encode())
    if octets > MAX_ADDRESS_OCTETS:
        raise ComposeError(f"{field} has {octets} octets; at most {MAX_ADDRESS_OCTETS} are allowed")
    return address


def parse_mailbox(text: str, field: str) -> Address:
    """Read what a person writes: `ann@example.org`, `Ann <ann@example.org>` or `"Smith, Ann" <ann@example.org>`.

    Raises:
        ComposeError: where it is none of these, or its name or address is not valid.
    """
    check_one_line(text, field)
    named = _NAMED.fullmatch(text.strip())
    if named:
        quoted = named["quoted"]
        name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else named["plain"].strip()
        address = Address(named["email"].strip(), name)
    else:
        address = Address(text.strip())
    wire_address(address.email, field)
    return address


def _local_problem(local: str) -> str:
    """What is wrong with a local part, as the end of a sentence; empty where nothing is."""
    if not local.isprintable() or " " in local:
        return "contains a blank or a character that cannot be printed"
    if not _SPECIALS.isdisjoint(local):
        return 'contains one of ()<>[]:;@\\,"'
    if "" in local.split("."):
        return "begins or ends with a dot, or has two in a row"
    octets = len(local.encode())
    return f"has {octets} octets; at most {MAX_LOCAL_OCTETS} are allowed" if octets > MAX_LOCAL_OCTETS else ""
