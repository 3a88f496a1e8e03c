"""What one lead would get of a campaign, without sending it."""

from __future__ import annotations

from dataclasses import dataclass

from mailworkers.campaigns.audience import lead_of, target_of
from mailworkers.campaigns.composing import Lead, letter_of
from mailworkers.campaigns.progress import Campaign
from mailworkers.db.pool import Database
from mailworkers.mail.composer import compose
from mailworkers.mail.message import Message
from mailworkers.mail.row import SenderDefaults


@dataclass(frozen=True, slots=True)
class Preview:
    """A lead's mail: `content` as a file that a mail client opens. `why_not` says why it would not be sent, or is empty."""

    lead: Lead
    template: str
    message: Message
    content: bytes
    why_not: str


async def preview(database: Database, campaign: Campaign, wanted: str, sender: SenderDefaults) -> Preview:
    """Render and compose the mail of one lead, as a daemon would.

    Args:
        database: where the lead and the letter are.
        campaign: as it is now.
        wanted: the lead's number or address.
        sender: gives the address where the campaign names none.

    Raises:
        CampaignError: there is no such lead, or the campaign's list is missing.
        TemplateError, ComposeError: this lead can get no mail; why is what the record would say.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    target = await target_of(database, campaign.campaign_id)
    lead, why_not = await lead_of(database.claims, target, wanted)
    letter = await letter_of(database.claims, campaign, sender)
    message = letter.message(lead)
    return Preview(lead, str(letter.source), message, compose(message).content, why_not)
