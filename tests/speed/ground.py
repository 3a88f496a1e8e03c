"""What the speed measurements share: a database, a sink in a process of its own, medians, a verdict."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mailworkers.bench.machine import this_machine
from mailworkers.bench.plan import Plan, Where
from mailworkers.bench.relay import Relay, relay_for
from mailworkers.db.embedded import default_home, embedded_server
from mailworkers.settings import Settings, load

MAIL_OCTETS = 3_000
RUNS = int(os.environ.get("MAILWORKERS_SPEED_RUNS", "5"))


def a_plan(jobs: int, workers: int = 10) -> Plan:
    """One daemon, as many mails."""
    return Plan(jobs, MAIL_OCTETS, None, workers, daemons=1, runs=RUNS, latency=False, metrics=True)


@asynccontextmanager
async def a_database() -> AsyncIterator[tuple[Settings, str]]:
    """The database of DATABASE_URL, or the embedded one; settings and DSN. All happens in a schema for the occasion."""
    settings = load()
    if settings.database_url is not None:
        yield settings, settings.database_url.get_secret_value()
        return
    async with embedded_server(settings.data_dir or default_home()) as dsn:
        yield settings, dsn


@asynccontextmanager
async def a_relay() -> AsyncIterator[Relay]:
    """The relay of MAILWORKERS_SPEED_RELAY (HOST:PORT, such as Postfix's smtp-sink), or the bench's own sink."""
    named = os.environ.get("MAILWORKERS_SPEED_RELAY")
    host, _, port = (named or "").rpartition(":")
    async with relay_for(Where(host, int(port)) if named else None) as relay:
        yield relay


def show(rates: Mapping[str, Sequence[float]], unit: str = "mails/s") -> Mapping[str, float]:
    """Print each figure's runs and median; the medians."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:44} {medians[name]:10,.0f} {unit}   ({', '.join(f'{value:,.0f}' for value in values)})")
    return medians


def ratio(rates: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """The median of the ratios of runs that stood side by side: whatever else the machine did hit both."""
    return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def verdict(what: str, measured: float, wanted: float) -> bool:
    """Print and judge one claim."""
    print(f"{'✓' if measured >= wanted else '✗'} {what}: {measured:.2f} (wanted: at least {wanted})")
    return measured >= wanted


def main(measure: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Run a measurement; exit code 0 where every claim held."""
    print(" · ".join(this_machine().values()))
    sys.exit(0 if asyncio.run(measure()) else 1)
