"""One message becomes its envelope and its bytes: at once, or its head first and its body later."""

from __future__ import annotations

from mailworkers.frozen import frozen
from mailworkers.mail.composer.body import body
from mailworkers.mail.composer.envelope import Addresses, envelope, wire_addresses
from mailworkers.mail.composer.head import head
from mailworkers.mail.message import Message, WireMail


@frozen
class Headed:
    """A message whose addresses are checked and whose header fields are written. Its body is not yet."""

    message: Message
    addresses: Addresses
    fields: str


def compose(message: Message) -> WireMail:
    """The final bytes of a message: pure, and the same at every attempt.

    All of it is 7-bit ASCII, but for address fields whose local part is not: these are UTF-8 (RFC 6532), and the envelope
    says so. Names and subjects stay encoded-words even then, which every reader knows.

    Raises:
        ComposeError: one line that names the row's field and the reason; nobody can send this row as it is.
    """
    return finished(headed(message))


def headed(message: Message) -> Headed:
    """The first half of `compose`, for whoever composes many: all heads and then all bodies take a fifth to a third less time than one
    mail after the other, because the processor's nearest caches hold the code of one half. Raises as `compose`.
    """
    addresses = wire_addresses(message)
    return Headed(message, addresses, head(message, addresses))


def finished(begun: Headed) -> WireMail:
    """The second half of `compose`. Raises as it does."""
    pieces = [f"{begun.fields}\r\n".encode(), *body(begun.message)]
    return WireMail(envelope(begun.addresses), b"".join(pieces), checked=True)
