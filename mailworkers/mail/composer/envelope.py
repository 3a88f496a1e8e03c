"""Who a mail is from and for, as RFC 5321 wants to hear it."""

from __future__ import annotations

from typing import NamedTuple

from mailworkers.mail.addresses import wire_address
from mailworkers.mail.message import Address, Envelope, Message


class Addresses(NamedTuple):
    """The addr-specs of a message, checked and in the form that crosses the wire; in the order of the message's own.

    A named tuple because one is made for every mail, at a third of a frozen dataclass's cost.
    """

    sender: str
    to: str
    reply_to: str
    cc: tuple[str, ...]
    bcc: tuple[str, ...]


def wire_addresses(message: Message) -> Addresses:
    """Check every address of the message.

    Raises:
        ComposeError: naming the row's field, such as `cc[2]`, and the reason.
    """
    return Addresses(
        wire_address(message.sender.email, "from_email"),
        wire_address(message.to.email, "to_email"),
        wire_address(message.reply_to.email, "reply_to") if message.reply_to else "",
        _listed(message.cc, "cc") if message.cc else (),
        _listed(message.bcc, "bcc") if message.bcc else (),
    )


def envelope(addresses: Addresses) -> Envelope:
    """Sender and recipients: to, cc and bcc in this order, each once.

    `smtputf8` also where only a header field (Reply-To) needs it: the relay has to accept the header too (RFC 6531 §3.4).
    """
    if not (addresses.cc or addresses.bcc):
        recipients: tuple[str, ...] = (addresses.to,)
    else:
        recipients = _each_once((addresses.to, *addresses.cc, *addresses.bcc))
    seven_bit = addresses.sender.isascii() and addresses.reply_to.isascii() and "".join(recipients).isascii()
    return Envelope(addresses.sender, recipients, smtputf8=not seven_bit)


def _listed(addresses: tuple[Address, ...], field: str) -> tuple[str, ...]:
    return tuple(wire_address(address.email, f"{field}[{index}]") for index, address in enumerate(addresses))


def _each_once(recipients: tuple[str, ...]) -> tuple[str, ...]:
    """The first of each. Domains compare without case; local parts are the receiving host's to compare (RFC 5321 §2.4)."""
    first: dict[tuple[str, str], str] = {}
    for recipient in recipients:
        local, _, domain = recipient.rpartition("@")
        first.setdefault((local, domain.lower()), recipient)
    return tuple(first.values())
