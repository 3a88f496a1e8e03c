"""The bench from start to end: rounds of the whole path and its references, one beside the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from mailworkers.bench import smtp_source
from mailworkers.bench.child import ANSWER_SECONDS, child
from mailworkers.bench.figures import Passage, Report, Speed
from mailworkers.bench.latency import measure_latency
from mailworkers.bench.machine import this_machine, this_server
from mailworkers.bench.passage import Ground, measure_passage
from mailworkers.bench.plan import LATENCY_INSERTS, Plan
from mailworkers.bench.relay import Relay, relay_for
from mailworkers.db.embedded import default_home, embedded_server
from mailworkers.db.pool import connect_once
from mailworkers.settings import Settings

REFERENCE_SECONDS = 5.0  # of each reference in each round: the slow ones send fewer mails instead of taking longer
SESSION, AIOSMTPLIB, NAIVE = "our sessions, no queue", "aiosmtplib, no queue", "EmailMessage + aiosmtplib, no queue"
SMTP_SOURCE = "smtp-source (C), no queue"
WAYS = {SESSION: "session", AIOSMTPLIB: "aiosmtplib", NAIVE: "naive"}


class Audience(Protocol):
    """Whoever watches the bench."""

    def step(self, sentence: str, total: int = 0) -> None:
        """Something begins that takes a while; `total` mails, where its progress can be told."""

    def progressed(self, done: int) -> None:
        """So many mails of the step are done."""


async def run_bench(settings: Settings, plan: Plan, audience: Audience) -> Report:
    """Measure all that the plan asks for, and leave nothing behind.

    Args:
        settings: where the database is, and how to talk to a relay that is not ours.
        plan: what.
        audience: is told how it goes.

    Raises:
        BenchFailed: a part of it could not be carried out.
        MailworkersError: no database, no rights, no relay.
    """
    async with _server(settings, audience) as dsn, relay_for(plan.relay) as relay:
        ground = Ground(settings, dsn, relay, plan)
        report = await _first_page(ground)
        passages: list[Passage] = []
        without_smtp: list[Passage] = []
        references: dict[str, list[Speed]] = {}
        for number in range(1, plan.runs + 1):
            which = f" ({number} of {plan.runs})" if plan.runs > 1 else ""
            audience.step(f"the whole path{which}", plan.jobs)
            passages.append(await measure_passage(ground, audience.progressed))
            audience.step(f"the queue without SMTP{which}", plan.jobs)
            without_smtp.append(await measure_passage(ground, audience.progressed, smtp=False))
            for name, speed in await _references(ground, audience, which):
                references.setdefault(name, []).append(speed)
        latency = None
        if plan.latency:
            audience.step("single inserts into an idle daemon's queue", LATENCY_INSERTS)
            latency = await measure_latency(ground, audience.progressed)
    return replace(report, passages=passages, without_smtp=without_smtp, references=references, latency=latency)


@asynccontextmanager
async def _server(settings: Settings, audience: Audience) -> AsyncIterator[str]:
    """The database that was given, or the embedded server; nothing is migrated but the bench's own schemas."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    audience.step("starting the embedded database")
    async with embedded_server(settings.data_dir or default_home()) as dsn:
        yield dsn


async def _first_page(ground: Ground) -> Report:
    """What can be said before anything was measured. Raises DatabaseError."""
    connection = await connect_once(ground.settings, ground.dsn, "bench")
    try:
        server = await this_server(connection)
    finally:
        connection.terminate()
    return Report(ground.plan, str(ground.relay), this_machine(), server)


async def _references(ground: Ground, audience: Audience, which: str) -> list[tuple[str, Speed]]:
    """One round of all references. Raises BenchFailed."""
    speeds = []
    for name, way in WAYS.items():
        audience.step(f"{name}{which}")
        speeds.append((name, await _sent_by(way, ground, ground.relay)))
    program = smtp_source.found()
    if program is not None:
        audience.step(f"{SMTP_SOURCE}{which}")
        plan = ground.plan
        speed = await smtp_source.measure(program, ground.relay.where, plan.jobs, plan.size, plan.workers)
        if speed is not None:
            speeds.append((SMTP_SOURCE, speed))
    return speeds


async def _sent_by(way: str, ground: Ground, relay: Relay) -> Speed:
    plan = ground.plan
    order = {
        "way": way,
        "settings": relay.overrides(ground.settings, plan.workers),
        "jobs": plan.jobs,
        "size": plan.size,
        "html": plan.html,
        "seconds": REFERENCE_SECONDS,
    }
    async with child(f"sender ({way})", "senders", order) as sender:
        said = await sender.hear(REFERENCE_SECONDS + ANSWER_SECONDS)
    return Speed(said["mails"], said["seconds"], said["cpu_seconds"])
