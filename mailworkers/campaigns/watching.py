"""Following a campaign until it ends: counts, its rate over the last seconds, its estimated end, and what holds it.

Looks are the truth; notifications only say when one is worth while. Behind a pooler, where there are none, it looks each second.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from mailworkers.campaigns import progress
from mailworkers.campaigns.listening import hearing
from mailworkers.campaigns.progress import Progress
from mailworkers.db.pool import Database
from mailworkers.errors import CampaignError, DatabaseUnavailable
from mailworkers.queue.overview import DaemonLine
from mailworkers.settings import Settings

LOOK_SECONDS: Final = 1.0  # without anything heard; also how soon a lost notification is made good
PAUSE_SECONDS: Final = 0.25  # between two looks, whatever is heard
RATE_SECONDS: Final = 10.0  # what "the last seconds" are
HOLD_SECONDS: Final = 2.0  # how often it is asked what holds it
RATE_FRESH_SECONDS: Final = 30.0  # daemons tell of a lowered rate each second while it is in force
NO_DAEMON: Final = "no daemon is running: start one with `mailworkers run`"
CHANNELS: Final = ("progress", "campaigns")


class Ended(StrEnum):
    """How a campaign that is watched can end."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Sight:
    """One look. `rate` is mails ended a second over the last seconds, None before two looks; `ends_at` follows from it;
    `holds` are sentences that say why it does not go on, or goes slowly; `ended` is None while it may go on. `changed` says that
    there is something new beside estimates."""

    campaign: Progress
    rate: float | None
    ends_at: datetime | None
    holds: tuple[str, ...]
    ended: Ended | None
    changed: bool


class Rate:
    """Mails a second over the last `RATE_SECONDS`.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def saw(self, done: int) -> float | None:
        """Note how many have ended by now; the rate, or None where there is nothing to compare."""
        now = self._clock()
        while len(self._seen) > 1 and self._seen[1][0] <= now - RATE_SECONDS:
            self._seen.popleft()
        self._seen.append((now, done))
        since, before = self._seen[0]
        return max(0, done - before) / (now - since) if now > since else None


async def watch(database: Database, settings: Settings, campaign_id: int) -> AsyncGenerator[Sight, None]:
    """Each look at a campaign, at least once a second, up to the one at which it has ended.

    A database that cannot be reached for a while is waited for; once it is back, what is told is exact again.

    Raises:
        CampaignError: there is no such campaign (any more).
        DatabaseUnavailable: it could not be reached at the first look.
        DatabaseRefused: as every call of a gateway.
    """
    rate = Rate()
    holds: tuple[str, ...] = ()
    asked = float("-inf")
    before: Sight | None = None
    async with hearing(settings, database.dsn, CHANNELS) as heard:
        while True:
            heard.clear()
            try:
                now = await _look(database, campaign_id)
                if time.monotonic() - asked >= HOLD_SECONDS or before is None or before.campaign.status != now.status:
                    holds, asked = await holding(database, now, settings.sender_email), time.monotonic()
            except DatabaseUnavailable:
                if before is None:
                    raise
                await asyncio.sleep(LOOK_SECONDS)
                continue
            speed = rate.saw(now.done)
            changed = before is None or _facts(before.campaign, before.holds) != _facts(now, holds)
            before = Sight(now, speed, _end(now, speed, holds), holds, _ended(now), changed)
            yield before
            if before.ended is not None:
                return
            await asyncio.sleep(PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS - PAUSE_SECONDS):
                    await heard.wait()


async def holding(database: Database, campaign: Progress, sender: str) -> tuple[str, ...]:
    """What keeps a campaign from going on, or slows it, in sentences; nothing where nothing does.

    Args:
        database: where it is.
        campaign: as it is now.
        sender: the address where the campaign names none.

    Raises:
        DatabaseUnavailable, DatabaseRefused: as every call of a gateway.
    """
    number = campaign.campaign_id
    match campaign.status:
        case "draft":
            return (f"it is a draft: start it with `mailworkers campaign start {number}`",)
        case "scheduled":
            return (f"it starts at {campaign.start_at:%Y-%m-%d %H:%M:%S} UTC",)
        case "paused":
            return (f"it is paused: `mailworkers campaign resume {number}` goes on with it",)
        case "running" | "cancelling":
            daemons = [DaemonLine(**row) for row in await database.claims.fetch("inspect/daemons")]
            nobody = () if any(daemon.alive for daemon in daemons) else (NO_DAEMON,)
            if campaign.status == "cancelling":
                return nobody
            rows = await database.claims.fetch("campaigns/holding", number, sender, RATE_FRESH_SECONDS)
            return (*nobody, *dict.fromkeys(map(_sentence, rows)))
    return ()


def _sentence(row: Mapping[str, Any]) -> str:
    why = f" ({row['why'].rstrip('.')})" if row["why"] else ""
    match row["kind"]:
        case "workspace":
            return f"workspace {row['subject']} is paused{why}"
        case "quota":
            to = "" if row["destination_group"] == "*" else f" to {row['destination_group']}"
            return (
                f"the warm-up of {row['subject']} has sent its {row['quota']:,} mails of today{to}: "
                f"the rest waits until {row['until']:%Y-%m-%d %H:%M} UTC"
            )
        case "rate":
            to = "" if row["destination_group"] == "provider" else f" to {row['subject'] or 'all other domains'}"
            return f"the relay takes about {row['quota']:,} mails/s{to} just now{why}"
        case status:
            return f"the warm-up of {row['subject']} is {status}{why}: `mailworkers warmup resume {row['subject']}` goes on"


async def _look(database: Database, campaign_id: int) -> Progress:
    now = await progress.read(database.claims, campaign_id)
    if now is None:
        raise CampaignError(f"there is no campaign {campaign_id}", "See `mailworkers campaign list`")
    return now


def _ended(now: Progress) -> Ended | None:
    return Ended(now.status) if now.status in tuple(Ended) else None


def _end(now: Progress, rate: float | None, holds: tuple[str, ...]) -> datetime | None:
    """By the last seconds; at first, and while nothing moves, by what the database knows of all its time, unless it is held."""
    if now.status != "running" or now.expected is None:
        return None
    if not rate:
        return None if holds else now.ends_at
    return datetime.now(UTC) + timedelta(seconds=max(0, now.expected - now.done) / rate)


def _facts(now: Progress, holds: tuple[str, ...]) -> tuple[object, ...]:
    """What is known, without what is estimated."""
    return (now.status, now.expected, now.made, now.live, now.sent, now.skipped, now.why, now.finished_at, holds)
