"""A campaign's mail to one lead, made as a daemon would make it: for checks and previews, which send nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from mailworkers.campaigns.progress import Campaign
from mailworkers.db.pool import Gateway
from mailworkers.errors import ComposeError
from mailworkers.mail.composer import compose
from mailworkers.mail.composer.envelope import wire_addresses
from mailworkers.mail.composer.head import head
from mailworkers.mail.message import Message, WireMail
from mailworkers.mail.row import SenderDefaults, message_from_row
from mailworkers.mail.templates import Letter, TemplateSource, compile_template, rendered, variables
from mailworkers.queue import templates
from mailworkers.queue.templates import Reference


@dataclass(frozen=True, slots=True)
class Lead:
    """One whom a campaign writes to. `data` is the lead's JSON."""

    lead_id: int
    email: str
    name: str | None
    data: str


class CampaignLetter:
    """What a campaign writes to any of its leads.

    Args:
        campaign: as it is now.
        letter: its template, compiled.
        sender: gives the address where the campaign names none.
    """

    def __init__(self, campaign: Campaign, letter: Letter, sender: SenderDefaults) -> None:
        self._letter = letter.with_common(campaign.data)
        self._sender = sender
        self._row = {
            **dict.fromkeys(("cc", "bcc", "subject", "text_body", "html_body", "attachments")),
            "workspace_id": campaign.workspace,
            "template": campaign.template,
            "from_email": campaign.from_email,
            "from_name": campaign.from_name,
            "reply_to": campaign.reply_to,
            "headers": campaign.headers,
            "created_at": datetime.now(UTC),
            "message_token": uuid4(),
        }

    @property
    def source(self) -> TemplateSource:
        """The template's version."""
        return self._letter.source

    def message(self, lead: Lead) -> Message:
        """The mail before it is bytes.

        Raises:
            ComposeError: this lead can get none, as the record would say it.
        """
        data = {"email": lead.email, "lead_id": lead.lead_id, **_named(lead), **variables(lead.data)}
        row = {**self._row, "to_email": lead.email, "to_name": lead.name, "data": data}
        return message_from_row(row, self._sender, says=rendered(row, self._letter))

    def mail(self, lead: Lead) -> WireMail:
        """The mail as it would leave. Raises as `message`."""
        return compose(self.message(lead))

    def check(self, lead: Lead) -> None:
        """As `mail`, without encoding the bodies: that takes most of the time and can fail for two characters only.

        Raises:
            ComposeError: where `mail` does.
        """
        message = self.message(lead)
        head(message, wire_addresses(message))
        for field, text in (("text_body", message.text_body), ("html_body", message.html_body)):
            if text is not None and ("\0" in text or not _is_unicode(text)):
                compose(message)
                raise ComposeError(f"{field} cannot be written into a mail")


async def letter_of(database: Gateway, campaign: Campaign, sender: SenderDefaults) -> CampaignLetter:
    """The letter of a campaign: its template's version where it has started, else the newest, as it would be if it started now.

    Raises:
        TemplateError: there is none, or it is no template.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    source = await templates.find(database, campaign.workspace, Reference.parse(campaign.template))
    return CampaignLetter(campaign, compile_template(source), sender)


def _named(lead: Lead) -> dict[str, str]:
    return {} if lead.name is None else {"name": lead.name}


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
