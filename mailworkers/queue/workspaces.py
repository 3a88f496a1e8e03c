"""Workspaces that are treated specially: their weights, and which of them are paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from mailworkers.db.pool import Database, Gateway
from mailworkers.queue.insert import RowRefused, reason
from mailworkers.queue.templates import shown


@dataclass(frozen=True, slots=True)
class WorkspaceLine:
    """One that has a row. `weight` is its share against others of weight 1."""

    workspace_id: str
    weight: float
    paused_at: datetime | None
    why: str | None


async def list_workspaces(database: Gateway, most: int) -> list[WorkspaceLine]:
    """By name, at most so many. Raises as `Gateway.fetch`."""
    return [WorkspaceLine(**row) for row in await database.fetch("workspaces/list", most)]


async def weigh(database: Database, workspace: str, weight: float) -> WorkspaceLine:
    """Give it a weight, between 0.01 and 100.

    Raises:
        RowRefused: a constraint says what is wrong with its name.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    return await _written(database, "workspaces/weigh", workspace, weight)


async def pause(database: Database, workspace: str, why: str | None) -> WorkspaceLine:
    """Claim nothing of it from now on.

    Raises:
        RowRefused: a constraint says what is wrong with its name, or with why.
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    return await _written(database, "workspaces/pause", workspace, why)


async def resume(database: Gateway, workspace: str) -> WorkspaceLine | None:
    """Let it go on; None where it was not paused. Raises as `Gateway.fetch`."""
    rows = await database.fetch("workspaces/resume", workspace)
    return WorkspaceLine(**rows[0]) if rows else None


async def _written(database: Database, query: str, workspace: str, value: float | str | None) -> WorkspaceLine:
    async with database.claims.connection(f"the query {query}") as connection:
        try:
            row = await connection.fetchrow(database.queries[query], workspace, value)
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as refusal:
            why = reason(refusal)
            hint = "Shorten --why, or put it on one line" if why.startswith("why") else "Check the workspace's name"
            raise RowRefused(f"workspace {shown(workspace)} was not changed: {why}", hint) from None
    return WorkspaceLine(**row)
