"""A campaign by what a person calls it."""

from __future__ import annotations

from mailworkers.campaigns import progress
from mailworkers.campaigns.progress import Campaign
from mailworkers.db.pool import Gateway
from mailworkers.errors import CampaignError

MOST_DIGITS = 18  # of a number; what is longer is a name


async def find(database: Gateway, workspace: str, called: str) -> Campaign:
    """A campaign by its number, or by its name in a workspace. A number goes before a name of digits.

    Raises:
        CampaignError: there is none.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    if called.isascii() and called.isdigit() and len(called) <= MOST_DIGITS:
        by_number = await progress.show(database, int(called))
        if by_number is not None:
            return by_number
    campaign_id = await progress.number(database, workspace, called)
    found = None if campaign_id is None else await progress.show(database, campaign_id)
    if found is None:
        raise CampaignError(
            f"workspace {workspace} has no campaign {called}", "See `mailworkers campaign list`, and check --workspace"
        )
    return found
