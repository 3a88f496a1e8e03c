"""How far campaigns are: counts that are exact at every moment, since the statements that end a mail keep them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailworkers.db.pool import Gateway

ENDED = ("finished", "cancelled")  # states that a campaign does not leave


@dataclass(frozen=True, slots=True)
class Progress:
    """One campaign: made = live + sent + failed + abandoned + cancelled + suppressed + unknown; looked_at = made + skipped.

    `expected` is None until the leads that match have been counted, and at the end what was made. `mails_per_second` is that
    since its start without pauses, of mails that were not called off; `ends_at` is None where nothing can be said.
    """

    campaign_id: int
    workspace: str
    name: str
    status: str
    expected: int | None
    looked_at: int
    made: int
    skipped: int
    live: int
    sent: int
    failed: int
    abandoned: int
    cancelled: int
    suppressed: int
    unknown: int
    start_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    why: str | None
    mails_per_second: float | None
    ends_at: datetime | None

    @property
    def done(self) -> int:
        """Mails that have ended, whichever way."""
        return self.made - self.live


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it was made and edited."""

    campaign_id: int
    workspace: str
    name: str
    status: str
    template: str
    revision: int
    data: Mapping[str, Any]
    from_email: str | None
    from_name: str | None
    reply_to: str | None
    headers: Mapping[str, str] | None
    list_name: str | None
    segment: str | None
    filter: Mapping[str, Any] | None
    priority: int
    max_retries: int
    start_at: datetime | None
    created_at: datetime
    why: str | None


async def read(gateway: Gateway, campaign_id: int) -> Progress | None:
    """How far a campaign is, or None where there is none. Raises as `Gateway.fetch`."""
    row = await gateway.fetchrow("campaigns/progress", campaign_id)
    return None if row is None else Progress(*row)


async def list_campaigns(gateway: Gateway, workspace: str | None, limit: int) -> list[Progress]:
    """How far those of a workspace are, or of all, newest first. Raises as `Gateway.fetch`."""
    return [Progress(*row) for row in await gateway.fetch("campaigns/list", workspace, limit)]


async def show(gateway: Gateway, campaign_id: int) -> Campaign | None:
    """What a campaign is, or None where there is none. Raises as `Gateway.fetch`."""
    row = await gateway.fetchrow("campaigns/show", campaign_id)
    if row is None:
        return None
    decoded = dict(row) | {
        name: json.loads(row[name]) for name in ("data", "headers", "filter") if row[name] is not None
    }
    return Campaign(*decoded.values())


async def number(gateway: Gateway, workspace: str, name: str) -> int | None:
    """The number of the campaign of this name, or None. Raises as `Gateway.fetch`."""
    found = await gateway.fetchval("campaigns/number", workspace, name)
    return None if found is None else int(found)
