"""What a relay offers, and a mail as the bytes that fit it.

This is the last look at a mail before it leaves. Whatever the rooms above let through, no CR, LF or NUL gets into a
command or a header from here, and the end of a mail is where we say it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mailworkers.mail.message import Envelope, WireMail
from mailworkers.replies import FailureClass, Rejected

MAX_ADDRESS = 320  # octets: 64 for the local part, 255 for the domain (RFC 5321 §4.5.3.1)

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-"
_BEYOND = "\u00a1-\ud7ff\ue000-\U0010ffff"
_DOMAIN = r"[A-Za-z0-9._\-]+"
_LITERAL = r"\[[A-Za-z0-9.:\-]+\]"
_QUOTED = r'"(?:[ !#-;=?-\[\]-~]|\\[ -;=?-~])*"'  # RFC 5321 §4.1.2, without < and >, which too many relays misread
_ADDRESS = re.compile(rf"(?:[{_ATEXT}]+|{_QUOTED})@(?:{_DOMAIN}|{_LITERAL})")
_ADDRESS_UTF8 = re.compile(
    rf"(?:[{_ATEXT}{_BEYOND}]+|{_QUOTED})@(?:[A-Za-z0-9._\-{_BEYOND}]+|{_LITERAL})"
)  # RFC 6531 §3.3

_LONE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Mode(StrEnum):
    """How the conversation runs."""

    PLAIN = "plain"
    PIPELINING = "pipelining"
    CHUNKING = "chunking"


@dataclass(frozen=True, slots=True)
class Offer:
    """What EHLO promised. `size_limit` in octets; 0 where the relay names none."""

    pipelining: bool = False
    chunking: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    size: bool = False
    size_limit: int = 0

    @classmethod
    def from_ehlo(cls, extensions: Mapping[str, str]) -> Offer:
        """Read the keywords of EHLO's reply, in lower case, with their parameters."""
        limit = extensions.get("size", "").strip()
        return cls(
            pipelining="pipelining" in extensions,
            chunking="chunking" in extensions,
            eight_bit="8bitmime" in extensions,
            smtputf8="smtputf8" in extensions,
            size="size" in extensions,
            size_limit=int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 19 else 0,
        )

    @property
    def mode(self) -> Mode:
        """The fastest conversation this relay can hold. Chunks save nothing where each command waits for its reply."""
        if not self.pipelining:
            return Mode.PLAIN
        return Mode.CHUNKING if self.chunking else Mode.PIPELINING


class Prepared(NamedTuple):
    """A mail ready for the wire: MAIL, then each RCPT, each with its CRLF; content with CRLF line ends, not stuffed."""

    mail: bytes
    rcpt: tuple[bytes, ...]
    recipients: tuple[str, ...]
    content: bytes


def prepare(mail: WireMail, offer: Offer) -> Prepared | Rejected:
    """Check a mail against the rules of the wire, unless its composer vouches for them, and against what the relay offers.

    Lone CRs and LFs in the body become CRLF, so that no relay can see another end of the mail than the one we send
    (CVE-2023-51764 and its siblings). In the header block they, and NUL anywhere, end the mail.
    """
    checked = mail if mail.checked else _checked(mail)
    if isinstance(checked, Rejected):
        return checked
    envelope, content = checked.envelope, checked.content
    eight_bit = not content.isascii()
    utf8 = envelope.smtputf8 or (eight_bit and not content.partition(b"\r\n\r\n")[0].isascii())  # RFC 6531 §3.1
    fault = _misfit(offer, len(content), eight_bit=eight_bit, utf8=utf8)
    if fault:
        return Rejected(FailureClass.DATA, fault)
    parameters = f" SIZE={len(content)}" if offer.size else ""
    if eight_bit:
        parameters += " BODY=8BITMIME"
    if utf8:
        parameters += " SMTPUTF8"
    return Prepared(
        mail=f"MAIL FROM:<{envelope.mail_from}>{parameters}\r\n".encode(),
        rcpt=tuple([f"RCPT TO:<{address}>\r\n".encode() for address in envelope.rcpt_to]),
        recipients=envelope.rcpt_to,
        content=content,
    )


def _checked(mail: WireMail) -> WireMail | Rejected:
    """What the composer's word stands for, where nobody gave it."""
    fault = _envelope_fault(mail.envelope)
    if fault:
        return Rejected(FailureClass.DATA, fault)
    content = canonical(mail.content)
    return content if isinstance(content, Rejected) else WireMail(mail.envelope, content, checked=True)


def canonical(content: bytes) -> bytes | Rejected:
    """`content` with CRLF as its only line end and as its last octets; Rejected for what no repair makes safe."""
    if b"\0" in content:
        return Rejected(FailureClass.DATA, "the mail contains a NUL octet")
    pairs = content.count(b"\r\n")
    if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
        header, blank, body = content.partition(b"\r\n\r\n")
        if _LONE_LINE_END.search(header):
            return Rejected(FailureClass.DATA, "a header contains a lone CR or LF")
        content = header + blank + _LONE_LINE_END.sub(b"\r\n", body)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def stuffed(content: bytes) -> bytes:
    """Canonical `content` with the dot doubled that begins a line (RFC 5321 §4.5.2)."""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


def _envelope_fault(envelope: Envelope) -> str:
    if not envelope.rcpt_to:
        return "the envelope names no recipient"
    address = _ADDRESS_UTF8 if envelope.smtputf8 else _ADDRESS
    sender = envelope.mail_from
    if sender and (len(sender) > MAX_ADDRESS or not address.fullmatch(sender)):  # empty: the null sender of a bounce
        return "the envelope's sender is not an address that SMTP can carry"
    for recipient in envelope.rcpt_to:
        if len(recipient) > MAX_ADDRESS or not address.fullmatch(recipient):
            return "a recipient of the envelope is not an address that SMTP can carry"
    return ""


def _misfit(offer: Offer, size: int, *, eight_bit: bool, utf8: bool) -> str:
    if 0 < offer.size_limit < size:
        return f"the message is too large: {size} octets, and the relay takes {offer.size_limit}"
    if utf8 and not offer.smtputf8:
        return "an address or header needs SMTPUTF8, which the relay does not offer"
    if eight_bit and not offer.eight_bit:
        return "the content has 8-bit octets, and the relay does not offer 8BITMIME"
    return ""
