"""Filters that are kept under a name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailworkers.db.pool import Gateway


@dataclass(frozen=True, slots=True)
class Segment:
    """One of a workspace."""

    segment_id: int
    name: str
    filter: dict[str, Any]
    created_at: datetime
    updated_at: datetime


async def list_segments(database: Gateway, workspace: str) -> list[Segment]:
    """By name. Raises as every call of a gateway."""
    rows = await database.fetch("campaigns/segments", workspace)
    return [Segment(**{**row, "filter": json.loads(row["filter"])}) for row in rows]


async def remove_segment(database: Gateway, workspace: str, name: str) -> bool:
    """Forget one; whether there was one. Campaigns under way go on with what it was. Raises as every call of a gateway."""
    return await database.fetchval("campaigns/remove_segment", workspace, name) is not None
