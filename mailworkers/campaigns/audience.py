"""Whom a campaign goes to: its leads, read in chunks by id, or one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from mailworkers.campaigns.composing import Lead
from mailworkers.db.pool import Database, Gateway
from mailworkers.errors import CampaignError
from mailworkers.leads.records import read_lead
from mailworkers.queue.insert import reason

CHUNK: Final = 1000  # leads looked at in one query: 30 ms of rendering, half a megabyte
LAST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a campaign goes to. `list_id` None: all leads of the workspace; `match` None: all of those; `last_lead` None: it has
    not started, and whoever is there when it does is in it."""

    workspace: str
    list_id: int | None
    match: str | None
    last_lead: int | None


async def target_of(database: Database, campaign_id: int) -> Target:
    """As fixed when the campaign started, else as it would be if it started now.

    Raises:
        CampaignError: its list or segment is missing, or there is no such campaign.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    async with database.claims.connection("looking for a campaign's leads") as connection:
        try:
            row = await connection.fetchrow(database.queries["campaigns/target"], campaign_id)
        except (asyncpg.NoDataFoundError, asyncpg.CheckViolationError) as refusal:
            raise CampaignError(reason(refusal), getattr(refusal, "hint", None) or "") from None
    if row is None:
        raise CampaignError(f"there is no campaign {campaign_id}", "See `mailworkers campaign list`")
    return Target(row["workspace_id"], row["list_id"], row["match"], row["last_lead"])


async def chunks(database: Gateway, target: Target) -> AsyncIterator[tuple[Sequence[Lead], float]]:
    """The leads that a campaign writes to, in the order of their ids, each chunk with the share of all ids that is reached
    with it. Raises as every call of a gateway."""
    reach = await database.fetchrow("campaigns/reach", target.workspace, target.list_id)
    if reach is None or reach["first"] is None:
        return
    first = reach["first"]
    last = reach["last"] if target.last_lead is None else min(reach["last"], target.last_lead)
    after = first - 1
    upto = LAST if target.last_lead is None else target.last_lead
    while rows := await database.fetch(
        "campaigns/audience", target.workspace, target.list_id, target.match, after, upto, CHUNK
    ):
        after = rows[-1]["id"]
        leads = [Lead(row["id"], row["email"], row["name"], row["data"]) for row in rows if row["ok"]]
        yield leads, min(1.0, (after - first + 1) / (last - first + 1))
        if len(rows) < CHUNK:
            return


async def lead_of(database: Gateway, target: Target, wanted: str) -> tuple[Lead, str]:
    """One lead, by id or address, and why the campaign would not write to it; an empty text where it would.

    Raises:
        CampaignError: the workspace has no such lead.
        LeadsError: that is neither a number nor an address.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    if wanted.isascii() and wanted.isdigit():
        lead_id = min(int(wanted), LAST)
    else:
        known = await read_lead(database, wanted, target.workspace)
        lead_id = 0 if known is None else known.lead_id
    row = await database.fetchrow("campaigns/lead", target.workspace, lead_id, target.list_id, target.match)
    if row is None:
        raise CampaignError(f"workspace {target.workspace} has no lead {wanted}", "Give a lead's number or address")
    lead = Lead(row["id"], row["email"], row["name"], row["data"])
    if row["status"] != "active":
        return lead, f"it is {row['status']}"
    if not row["listed"]:
        return lead, "it is not on the campaign's list"
    if not row["matches"]:
        return lead, "it does not match the campaign's filter"
    if target.last_lead is not None and row["id"] > target.last_lead:
        return lead, "it came after the campaign's start"
    return lead, ""
