"""What somebody asks of a campaign. Each is one call of a function of the database, which has the rules and says no in a sentence.

draft ── start ──▶ scheduled ──▶ running ──▶ finished
  │        └─────────────────────▶ │  ▲ ▲
  │                         pause  ▼  │ │ resume
  │                             paused  stopped ◀── it could not start
  └───────────┬────────────────────┴────┘
            cancel ──▶ cancelling ──▶ cancelled
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from mailworkers.campaigns import progress
from mailworkers.db.pool import Database
from mailworkers.errors import CampaignError
from mailworkers.queue.insert import reason

DEFAULT_PRIORITY = 10  # behind single mails, which have 0
DEFAULT_RETRIES = 3
# What the functions of the database refuse with: a bad value, a name taken, nothing of that name, a state that does not allow it.
_REFUSALS = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.NoDataFoundError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign to be.

    Args:
        name: one line, its own in the workspace.
        template: `newsletter`, of which the newest version counts when it starts, or `newsletter@3`.
        workspace: whose it is.
        list_name, segment, filter: whom it goes to; where more than one is given, all must hold; none means all leads.
        data: variables that are the same for all its mails; a lead's own of the same name stand instead.
        from_email, from_name, reply_to: who writes; None leaves it to the settings.
        headers: further ones, of the names that jobs may have.
        priority: smaller goes first.
        max_retries: attempts of a mail after the first.
        start_at: aware; None makes a draft.
    """

    name: str
    template: str
    workspace: str = "default"
    list_name: str | None = None
    segment: str | None = None
    filter: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    from_email: str | None = None
    from_name: str | None = None
    reply_to: str | None = None
    headers: Mapping[str, str] | None = None
    priority: int = DEFAULT_PRIORITY
    max_retries: int = DEFAULT_RETRIES
    start_at: datetime | None = None


class NameTaken(CampaignError):
    """Another one of the workspace has the name."""


async def create(database: Database, plan: Plan) -> int:
    """Create a campaign and return its number.

    Raises:
        CampaignError: something is wrong with it; nothing was created.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    try:
        made = await _ask(
            database, "campaigns/create", plan.workspace, plan.name, plan.template, plan.list_name, plan.segment,
            _json(plan.filter), _json(plan.data), plan.from_email, plan.from_name, plan.reply_to, _json(plan.headers),
            plan.priority, plan.max_retries, plan.start_at,
        )  # fmt: skip
    except NameTaken as taken:
        raise await _namesake(database, plan) or taken from None
    return int(made)


async def start(database: Database, campaign_id: int, at: datetime | None = None) -> None:
    """Send a draft now, or `at` a time to come. Whom it goes to and which version of its template are fixed when it starts.

    Raises:
        CampaignError: there is none, it cannot start in its state, or its template or list is missing.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    await _ask(database, "campaigns/start", campaign_id, at)


async def pause(database: Database, campaign_id: int) -> None:
    """Send nothing more but what is in flight. A paused one stays so. Raises as `start`."""
    await _ask(database, "campaigns/pause", campaign_id)


async def resume(database: Database, campaign_id: int) -> None:
    """Go on with a paused or stopped one. Raises as `start`."""
    await _ask(database, "campaigns/resume", campaign_id)


async def cancel(database: Database, campaign_id: int) -> None:
    """End it for good: what is in flight goes out, all else that was made is recorded as cancelled. Raises as `start`."""
    await _ask(database, "campaigns/cancel", campaign_id)


async def edit(database: Database, campaign_id: int, changes: Mapping[str, Any]) -> None:
    """Change a campaign that is not running; mails that were made already and are not in flight change with it.

    Args:
        campaign_id: its number.
        changes: by column: `name`, `template`, `data`, `from_email`, `from_name`, `reply_to`, `headers`, `priority`, `max_retries`;
            before its start also `list`, `segment`, `filter` and `start_at` (ISO 8601). None takes a value away.

    Raises:
        CampaignError: there is none, it is running or has ended, or a change is wrong; nothing was changed.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    await _ask(database, "campaigns/edit", campaign_id, json.dumps(dict(changes)))


async def remove(database: Database, campaign_id: int) -> bool:
    """Forget one that never started; whether there was such a one. Raises as every call of a gateway."""
    return await database.claims.fetchval("campaigns/remove", campaign_id) is not None


async def save_segment(database: Database, workspace: str, name: str, filter_: Mapping[str, Any]) -> int:
    """Keep a filter under a name, for campaigns to come; its number. Raises as `create`."""
    return int(await _ask(database, "campaigns/save_segment", workspace, name, _json(filter_)))


async def _ask(database: Database, query: str, *args: Any) -> Any:
    async with database.claims.connection(f"the query {query}") as connection:
        try:
            return await connection.fetchval(database.queries[query], *args)
        except asyncpg.UniqueViolationError as refusal:
            raise NameTaken(reason(refusal), "Choose another name") from None
        except _REFUSALS as refusal:
            raise CampaignError(reason(refusal), getattr(refusal, "hint", None) or "") from None


async def _namesake(database: Database, plan: Plan) -> NameTaken | None:
    """Which campaign has the name, and what can be done; None where it is gone by now."""
    number = await progress.number(database.claims, plan.workspace, plan.name)
    other = None if number is None else await progress.show(database.claims, number)
    if other is None:
        return None
    unstarted = (
        f"change it with `mailworkers campaign edit {number}`, or forget it with `mailworkers campaign remove {number}`"
    )
    return NameTaken(
        f'workspace {plan.workspace} has a campaign "{plan.name}" already: number {number}, {other.status}',
        f"Choose another name, {unstarted}" if other.status == "draft" else "Choose another name",
    )


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value))
