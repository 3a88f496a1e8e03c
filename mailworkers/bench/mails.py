"""The mails of a measurement: a short personal head, and bodies that bring them to the wanted size."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Message, WireMail

SENDER = "bench@sender.example"
SENDER_NAME = "Bench of mailworkers"
LEAST_SIZE = 600  # octets: the head of every mail takes half of it, and a body that is no body measures nothing
LEAST_HTML_SIZE = 1_200  # … with a second part, and one line in either
MOST_SIZE = 1024 * 1024
HEAD = 310  # octets of header fields, about
LINE = "This line is one of many that bring the mail to the size that was asked for.\n"
UTF8_LINE = "Größe und Gewicht — this line is one of many that bring the mail to its size.\n"
HTML_LINE = f'<p style="font-size:14px">{UTF8_LINE.strip()}</p>\n'
PROBE_LINES = 32  # of which the octets a line takes are measured


class Mails:
    """Mails of one size, by their number.

    Args:
        size: octets of a composed mail, header included, to within a line (with `html`, one of each part).
        html: in two parts of UTF-8, text and HTML, each mail's its own, as newsletters are; else plain ASCII, the same in all.
    """

    def __init__(self, size: int, *, html: bool = False) -> None:
        self._html = html
        self._lines = 1
        first = len(self.wire(1).content)
        self._lines += PROBE_LINES
        line = (len(self.wire(1).content) - first) / PROBE_LINES
        self._lines = 1 + max(0, round((size - first) / line))

    def text(self, number: int) -> str:
        """The body as text."""
        return f"Good morning, Reader {number}\n{UTF8_LINE * self._lines}" if self._html else LINE * self._lines

    def html(self, number: int) -> str | None:
        """The body as HTML, where it has one."""
        return f"<h1>Good morning, Reader {number}</h1>\n{HTML_LINE * self._lines}" if self._html else None

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
            text_body=self.text(number),
            html_body=self.html(number),
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
        built.set_content(self.text(number))
        html = self.html(number)
        if html is not None:
            built.add_alternative(html, subtype="html")
        return built
