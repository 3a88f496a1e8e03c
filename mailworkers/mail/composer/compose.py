"""One message becomes its envelope and its bytes."""

from __future__ import annotations

from mailworkers.mail.composer.body import body
from mailworkers.mail.composer.envelope import envelope, wire_addresses
from mailworkers.mail.composer.head import head
from mailworkers.mail.message import Message, WireMail


def compose(message: Message) -> WireMail:
    """The final bytes of a message: pure, and the same at every attempt.

    All of it is 7-bit ASCII, but for address fields whose local part is not: these are UTF-8 (RFC 6532), and the envelope
    says so. Names and subjects stay encoded-words even then, which every reader knows.

    Raises:
        ComposeError: one line that names the row's field and the reason; nobody can send this row as it is.
    """
    addresses = wire_addresses(message)
    fields = head(message, addresses)
    return WireMail(envelope(addresses), b"".join([f"{fields}\r\n".encode(), *body(message)]), checked=True)
