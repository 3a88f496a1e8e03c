"""Leads, a letter and campaigns for tests, and the sums that must hold of them at every moment."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.waiting import eventually

SAVE = (
    "SELECT mailworkers.save_template($1, 'letter', 'Hello {{ name }}', 'Hi {{ name }} of {{ city }}, from {{ shop }}')"
)
LEADS = """
INSERT INTO mailworkers.leads (workspace_id, email, name, data)
SELECT $2::text, 'reader' || n || '@' || (ARRAY['example.org', 'b.example', 'a.example'])[n % 3 + 1], 'Reader ' || n,
    jsonb_build_object('city', (ARRAY['Bonn', 'Köln'])[n % 2 + 1], 'age', (n % 80)::text)
FROM generate_series(1, $1::integer) AS n
"""
GROUP = """
INSERT INTO mailworkers.destination_domains (domain, destination_group) VALUES ('b.example', 'google') ON CONFLICT DO NOTHING
"""
CREATE = """
SELECT mailworkers.create_campaign($1, 'letter', workspace_id => $2, data => '{"shop": "the shop"}', start_at => $3,
    filter => $4::jsonb, list => $5)
"""
PROGRESS = "SELECT * FROM mailworkers.campaign_progress WHERE campaign_id = $1"
# What the counts are held to: the rows themselves.
COUNTED = """
SELECT (SELECT count(*) FROM mailworkers.campaign_send_leads WHERE campaign_id = $1) AS made,
    (SELECT count(*) FROM mailworkers.email_jobs WHERE campaign_id = $1 AND lead_id IS NOT NULL) AS live,
    count(*) FILTER (WHERE status = 'sent') AS sent, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'abandoned') AS abandoned, count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE status = 'suppressed') AS suppressed, count(*) FILTER (WHERE status = 'unknown') AS unknown
FROM mailworkers.email_sends WHERE campaign_id = $1
"""
KINDS = ("made", "live", "sent", "failed", "abandoned", "cancelled", "suppressed", "unknown")


async def prepare(owner: Any, leads: int, workspace: str = "default") -> None:
    """A template and so many leads, of whom one in two lives in Bonn and one in three has Google's mail."""
    await owner.execute(GROUP)
    await owner.execute(LEADS, leads, workspace)
    await owner.fetchval(SAVE, workspace)


async def create(
    owner: Any, name: str = "autumn", workspace: str = "default", start_at: Any = None, only: Any = None, on: Any = None
) -> int:  # fmt: skip
    """A campaign to them, or to those whom the filter `only` finds or who are `on` a list; a draft unless `start_at` is given."""
    number: int = await owner.fetchval(CREATE, name, workspace, start_at, only, on)
    return number


async def start(owner: Any, name: str = "autumn", workspace: str = "default", **whom: Any) -> int:
    """A campaign that runs."""
    number = await create(owner, name, workspace, **whom)
    await owner.execute("SELECT mailworkers.start_campaign($1)", number)
    return number


async def ask(owner: Any, what: str, campaign: int) -> None:
    """Pause, resume or cancel it."""
    await owner.execute(f"SELECT mailworkers.{what}_campaign($1)", campaign)


async def progress(owner: Any, campaign: int) -> dict[str, Any]:
    """What the view says of it."""
    return dict(await owner.fetchrow(PROGRESS, campaign))


async def status(owner: Any, campaign: int) -> str:
    """Its state."""
    return str(await owner.fetchval("SELECT status FROM mailworkers.campaign_sends WHERE id = $1", campaign))


async def becomes(owner: Any, campaign: int, wanted: str, seconds: float = 15.0) -> None:
    """Wait until it is in this state."""

    async def has_become() -> bool:
        return await status(owner, campaign) == wanted

    await eventually(has_become, f"campaign {campaign} becomes {wanted}", seconds)


async def assert_exact(owner: Any, campaign: int) -> dict[str, Any]:
    """Hold the counts to the rows that they count, in one snapshot; the counts."""
    async with owner.transaction(isolation="repeatable_read"):
        said = await progress(owner, campaign)
        counted = dict(await owner.fetchrow(COUNTED, campaign))
    assert {kind: said[kind] for kind in KINDS} == counted
    assert said["looked_at"] == said["made"] + said["skipped"]
    return said


def assert_once(addresses: list[str], most_twice: int = 0) -> None:
    """Nobody got two mails, but for so many that were in flight at a kill."""
    twice = len(addresses) - len(set(addresses))
    assert twice <= most_twice, f"{twice} mails came twice"


async def settle() -> None:
    """Let everything that is ready on the loop run."""
    for _ in range(3):
        await asyncio.sleep(0)
