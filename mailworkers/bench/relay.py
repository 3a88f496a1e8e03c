"""The relay that is measured: a discarding sink of the bench's own, or the one that was named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mailworkers.bench.child import START_SECONDS, Child, child
from mailworkers.bench.mails import SENDER
from mailworkers.bench.plan import Where
from mailworkers.bench.sink import HOST
from mailworkers.settings import Settings

# Far above what any machine reaches: every mail is counted against its limits, as in a daemon at work, and none waits.
HIGH_PER_SECOND = 1_000_000
HIGH_PER_MINUTE = 60 * HIGH_PER_SECOND
HIGH_PER_HOUR = 60 * HIGH_PER_MINUTE
# A connection is kept for the whole run, as the references keep theirs: "renew after N mails" is a courtesy to large
# providers, and no limit that a bench should wait for.
MAILS_PER_CONNECTION = 1_000_000_000
SECRETS = {"database_url", "direct_database_url", "smtp_password", "api_key"}  # children have them from where we have


@dataclass(frozen=True, slots=True)
class Relay:
    """Where the mails go. `sink` is None for a relay that is not ours to ask."""

    where: Where
    sink: Child | None

    def __str__(self) -> str:
        return f"{self.where}" if self.sink is None else "a discarding sink in a second process"

    async def count(self) -> int | None:
        """Mails that arrived so far; None where the relay cannot be asked."""
        return None if self.sink is None else int((await self.sink.ask("count"))["mails"])

    def overrides(self, settings: Settings, workers: int) -> dict[str, Any]:
        """The person's settings with this relay, so many connections, and every limit set high."""
        own = {"smtp_tls": "none", "smtp_user": ""} if self.sink is not None else {}
        return {
            **settings.model_dump(mode="json", exclude=SECRETS),
            "smtp_host": self.where.host,
            "smtp_port": self.where.port,
            "smtp_mails_per_connection": MAILS_PER_CONNECTION,
            "from_email": SENDER,
            "instance": "bench",
            "min_workers": workers,
            "max_workers": workers,
            "target_per_hour": 0,
            "worker_rate_per_minute": HIGH_PER_MINUTE,
            "worker_rate_per_hour": HIGH_PER_HOUR,
            "workspace_rate_per_minute": HIGH_PER_MINUTE,
            "system_rate_per_second": HIGH_PER_SECOND,
            "http_port": 0,
            "log_level": "WARNING",
            **own,
        }


@asynccontextmanager
async def relay_for(where: Where | None) -> AsyncIterator[Relay]:
    """That relay, or a sink of our own as long as the block runs. Raises BenchFailed."""
    if where is not None:
        yield Relay(where, None)
        return
    async with child("sink", "sink") as sink:
        port = (await sink.hear(START_SECONDS))["port"]
        yield Relay(Where(HOST, port), sink)
