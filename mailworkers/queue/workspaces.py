"""Workspaces that are treated specially: their weights, and which of them are paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailworkers.db.pool import Gateway


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


async def weigh(database: Gateway, workspace: str, weight: float) -> WorkspaceLine:
    """Give it a weight, between 0.01 and 100. Raises as `Gateway.fetch`."""
    (row,) = await database.fetch("workspaces/weigh", workspace, weight)
    return WorkspaceLine(**row)


async def pause(database: Gateway, workspace: str, why: str | None) -> WorkspaceLine:
    """Claim nothing of it from now on. Raises as `Gateway.fetch`."""
    (row,) = await database.fetch("workspaces/pause", workspace, why)
    return WorkspaceLine(**row)


async def resume(database: Gateway, workspace: str) -> WorkspaceLine | None:
    """Let it go on; None where it was not paused. Raises as `Gateway.fetch`."""
    rows = await database.fetch("workspaces/resume", workspace)
    return WorkspaceLine(**rows[0]) if rows else None
