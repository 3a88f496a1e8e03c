"""A rendered letter as a file that a mail client opens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mailworkers.mail.addresses import ascii_domain
from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Message
from mailworkers.mail.templates.letter import Rendered


def preview(
    rendered: Rendered, sender: Address, to: Address, date: datetime, headers: Mapping[str, str] | None = None
) -> bytes:
    """The mail as it would leave, in the form of an .eml file.

    Args:
        rendered: the letter.
        sender: who it is from.
        to: who it is for.
        date: aware.
        headers: extra ones, as a row has them.

    Raises:
        ComposeError: an address, a header or a body cannot be in a mail.
    """
    message = Message(
        message_id=f"preview.{date:%Y%m%d%H%M%S}@{ascii_domain(sender.email.rpartition('@')[2])}",
        date=date,
        sender=sender,
        to=to,
        subject=rendered.subject,
        text_body=rendered.text_body,
        html_body=rendered.html_body,
        headers=headers,
    )
    return compose(message).content
