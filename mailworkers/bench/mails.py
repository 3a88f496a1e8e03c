"""The mails of a measurement: a short personal head, and a text body that brings them to the wanted size."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Message, WireMail

SENDER = "bench@sender.example"
SENDER_NAME = "Bench of mailworkers"
LEAST_SIZE = 600  # octets: the head of every mail takes half of it, and a body that is no body measures nothing
MOST_SIZE = 1024 * 1024
HEAD = 310  # octets of header fields, about
LINE = "This line is one of many that bring the mail to the size that was asked for.\n"


class Mails:
    """Mails of one size, by their number.

    Args:
        size: octets of a composed mail, header included, to within a line.
    """

    def __init__(self, size: int) -> None:
        self.text = LINE * max(1, round((size - HEAD) / (len(LINE) + 1)))  # on the wire a line ends with two octets

    def recipient(self, number: int) -> str:
        """An address that can belong to nobody (RFC 2606)."""
        return f"reader{number}@firm{number % 100}.example"

    def subject(self, number: int) -> str:
        """Every mail's own."""
        return f"Letter {number} of a measurement"

    def message(self, number: int) -> Message:
        """As a row says it."""
        return Message(
            message_id=f"bench-{number}@sender.example",
            date=datetime.now(UTC),
            sender=Address(SENDER, SENDER_NAME),
            to=Address(self.recipient(number), f"Reader {number}"),
            subject=self.subject(number),
            text_body=self.text,
        )

    def wire(self, number: int) -> WireMail:
        """Composed by us."""
        return compose(self.message(number))

    def built(self, number: int) -> EmailMessage:
        """Built by the standard library, as the usual sender does it for every mail."""
        built = EmailMessage()
        built["From"] = f"{SENDER_NAME} <{SENDER}>"
        built["To"] = f"Reader {number} <{self.recipient(number)}>"
        built["Subject"] = self.subject(number)
        built["Date"] = format_datetime(datetime.now(UTC))
        built["Message-ID"] = make_msgid(domain="sender.example")
        built.set_content(self.text)
        return built
