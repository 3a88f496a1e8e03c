"""Warm-ups for tests, and days that pass without waiting for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import asyncpg

SENDER = "news.example"

# Where it is about noon: no test meets midnight by chance. POSIX counts these zones' hours westwards.
NOON_ZONE = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


async def start(connection: asyncpg.Connection, *quotas: int, sender: str = SENDER, **groups: int) -> int:
    """Warm a sender up: a quota for each day, and one for day 1 of each named group; the warm-up's number."""
    steps: list[dict[str, Any]] = [{"day": day, "quota": quota} for day, quota in enumerate(quotas, start=1)]
    steps += [{"day": 1, "group": group, "quota": quota} for group, quota in groups.items()]
    await connection.execute("SELECT mailworkers.define_warm_up_schedule('mine', $1::jsonb)", json.dumps(steps))
    return int(await connection.fetchval("SELECT mailworkers.start_warm_up($1, 'mine', $2)", sender, NOON_ZONE))


async def a_day_passes(connection: asyncpg.Connection, days: int = 1) -> None:
    """What was today was yesterday, and what was to wait for today is due: the same as a day later, without waiting for it."""
    async with connection.transaction():
        await connection.execute("UPDATE mailworkers.warmup_days SET on_date = on_date - $1::integer", days)
        await connection.execute(
            "UPDATE mailworkers.warmups SET started_on = started_on - $1::integer, held_on = held_on - $1::integer",
            days,
        )
        await connection.execute("UPDATE mailworkers.email_jobs SET scheduled_at = now() WHERE scheduled_at > now()")
