"""A campaign to many leads against `mailworkers bench` in one run: import, make, render, send, count.

Two kinds of literal bodies stand beside it: the bench's usual plain ASCII of 3,000 octets, and text and HTML in UTF-8 of the letter's size,
which is the same mail without template, leads and campaign.

`python -m tests.speed.campaign`; MAILWORKERS_SPEED_LEADS says to how many (2000000 is the full form), MAILWORKERS_SPEED_RELAY to what relay.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailworkers.bench.child import START_SECONDS, child
from mailworkers.bench.passage import Ground, measure_passage
from mailworkers.bench.schema import own_schema
from mailworkers.db.pool import connect_once
from mailworkers.demo import make_leads
from mailworkers.demo.letter import FOLDER
from mailworkers.mail.composer import compose
from mailworkers.mail.message import Address, Message
from mailworkers.mail.templates import Missing, TemplateSource, compile_template
from tests.speed.ground import RUNS, a_database, a_plan, a_relay, main, ratio, show, verdict

LEADS = int(os.environ.get("MAILWORKERS_SPEED_LEADS", "100000"))
BENCH_JOBS = 100_000
FULL_FORM = 1_000_000  # leads from which on one run is enough
LOOK_SECONDS = 1.0  # each look costs the database what it takes from the daemon
MOST_SECONDS = 3600.0
MOST_MEMORY_MIB = 150
WINDOW = 10_000  # CAMPAIGN_WINDOW's default
PLAIN, AS_THE_LETTER = "bench, plain text", "bench, text and HTML as the letter has"


class Campaign:
    """One campaign in a schema of its own, and what was seen of it while it ran."""

    def __init__(self, schema: str, owner: Any) -> None:
        self._schema = schema
        self._owner = owner
        self.most_waiting = 0
        self.rate = 0.0

    async def create(self, letter: Letter) -> int:
        """To all leads."""
        template = f"SELECT {self._schema}.save_template('default', 'letter', $1, $2, $3, 'blank')"
        await self._owner.fetchval(template, letter.subject, letter.text, letter.html)
        create = (
            f"SELECT {self._schema}.create_campaign('speed', 'letter', data => $1, from_email => $2, start_at => now())"
        )
        made: int = await self._owner.fetchval(create, json.dumps(letter.data), letter.sender)
        return made

    async def watch(self, campaign: int) -> Mapping[str, Any]:
        """Until it is finished; its last progress. The rate is that of the middle nine tenths."""
        began, first, last = time.monotonic(), (0.0, 0), (0.0, 0)
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                row = await self._owner.fetchrow(
                    f"SELECT * FROM {self._schema}.campaign_progress WHERE campaign_id = $1", campaign
                )
                waiting = await self._owner.fetchval(f"SELECT count(*) FROM {self._schema}.email_jobs")
                self.most_waiting = max(self.most_waiting, waiting)
                now = (time.monotonic(), row["sent"])
                if not first[0] and row["sent"] >= LEADS * 0.05:
                    first = now
                if row["sent"] <= LEADS * 0.95:
                    last = now
                if row["status"] == "finished":
                    break
                _say(f"{row['sent']:,} sent, {waiting:,} waiting, {time.monotonic() - began:.0f} s")
                await asyncio.sleep(LOOK_SECONDS)
        self.rate = (last[1] - first[1]) / max(last[0] - first[0], 1e-9)
        _say("")
        return dict(row)


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line:60}", end="", file=sys.stderr, flush=True)


async def _imported(dsn: str, schema: str, leads: int) -> None:
    """By the command that users have."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        make_leads.write(path, leads)
        environment = {**os.environ, "MAILWORKERS_DATABASE_URL": dsn, "MAILWORKERS_SCHEMA": schema}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mailworkers", "leads", "import", str(path), env=environment
        )
        assert await process.wait() == 0


@dataclass(frozen=True, slots=True)
class Letter:
    """The template's parts, the variables that all mails have in common, and who sends it."""

    subject: str
    html: str
    text: str
    data: Mapping[str, Any]
    sender: str


def _letter() -> Letter:
    """The demo's, or PREFIX.html, .txt and .json, where MAILWORKERS_SPEED_LETTER is PREFIX: the latter's `subject`, `from.email` and
    other keys."""
    common = {"unsubscribe_url": "https://notes.example/leave"}
    prefix = os.environ.get("MAILWORKERS_SPEED_LETTER")
    if prefix is None:
        html, text, content = (
            (FOLDER / name).read_text(encoding="utf-8")
            for name in ("letter.html.jinja", "letter.txt.jinja", "letter.json")
        )
    else:
        html, text, content = (Path(prefix + end).read_text(encoding="utf-8") for end in (".html", ".txt", ".json"))
    given = json.loads(content)
    sender = given.get("sender") or given["from"]
    data = {name: value for name, value in given.items() if name not in ("subject", "sender", "from")}
    return Letter(given["subject"], html, text, {**common, **data}, sender["email"])


def _octets(letter: Letter) -> int:
    """Of a composed mail."""
    source = TemplateSource("letter", 1, letter.subject, letter.text, letter.html, Missing.BLANK)
    says = compile_template(source).render(
        {**letter.data, "name": "Žofie", "city": "Bonn", "email": "zofie@news.example"}
    )
    return len(
        compose(
            Message(
                message_id="0123456789abcdef@notes.example",
                date=datetime.now(UTC),
                sender=Address(letter.sender),
                to=Address("zofie@news.example", "Žofie"),
                subject=says.subject,
                text_body=says.text_body,
                html_body=says.html_body,
            )
        ).content
    )


@dataclass(slots=True)
class Seen:
    """Of all campaigns together."""

    rates: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    waiting: int = 0
    exact: list[bool] = field(default_factory=list)


async def _send(ground: Ground, seen: Seen) -> None:
    """One campaign, from the file to the last mail."""
    settings, dsn, relay = ground.settings, ground.dsn, ground.relay
    async with own_schema(settings, dsn) as schema, AsyncExitStack() as stack:
        owner = await connect_once(settings, dsn, "speed")
        stack.callback(owner.terminate)
        await _imported(dsn, schema, LEADS)
        await owner.execute(f"VACUUM ANALYZE {schema}.leads", timeout=600.0)
        campaign = Campaign(schema, owner)
        before = await relay.count()
        async with child("daemon", "daemon", ground.order(schema)) as daemon:
            await daemon.hear(START_SECONDS)
            begun = await daemon.ask("measure")
            row = await campaign.watch(await campaign.create(_letter()))
            usage = await daemon.ask("measured")
        after = await relay.count()
        seen.rates.append(campaign.rate)
        seen.peak_mib = max(seen.peak_mib, int(usage["peak_bytes"]) / 1024**2)
        seen.waiting = max(seen.waiting, campaign.most_waiting)
        seen.exact.append(await _exact(owner, schema, row, None if before is None or after is None else after - before))
        cpu = (float(usage["cpu_seconds"]) - float(begun["cpu_seconds"])) * 1e6 / row["sent"]
        stages = " · ".join(f"{stage} {share * cpu:.0f}" for stage, share in usage["stages"].items())
        print(f"CPU µs a mail {cpu:.0f}: {stages}")


async def measure() -> bool:
    """Bench and campaign, one after the other, several times."""
    seen = Seen()
    plain = a_plan(BENCH_JOBS)
    plans = {PLAIN: plain, AS_THE_LETTER: replace(plain, html=True, size=_octets(_letter()))}
    rates: dict[str, list[float]] = {name: [] for name in plans} | {"campaign": seen.rates}
    async with a_database() as (settings, dsn), a_relay() as relay:
        for _ in range(RUNS if LEADS < FULL_FORM else 1):
            for name, plan in plans.items():
                passage = await measure_passage(Ground(settings, dsn, relay, plan), lambda _count: None)
                rates[name].append(passage.speed.mails / passage.speed.seconds)
            await _send(Ground(settings, dsn, relay, plain), seen)
    show(rates)
    return all(
        [
            verdict("campaign against the bench's plain text", ratio(rates, "campaign", PLAIN), 0.7),
            verdict(
                f"campaign against text and HTML of {plans[AS_THE_LETTER].size:,} octets",
                ratio(rates, "campaign", AS_THE_LETTER),
                0.7,
            ),
            verdict(
                f"{MOST_MEMORY_MIB} MiB against the daemon's peak of {seen.peak_mib:.0f}",
                MOST_MEMORY_MIB / seen.peak_mib,
                1.0,
            ),
            verdict(
                f"the window of {WINDOW:,} against the most jobs, {seen.waiting:,}", WINDOW / max(seen.waiting, 1), 1.0
            ),
            verdict("exact in how many runs of all", sum(seen.exact) / len(seen.exact), 1.0),
        ]
    )


async def _exact(owner: Any, schema: str, row: Mapping[str, Any], arrived: int | None) -> bool:
    """One mail for each lead, and every count the same."""
    leads = await owner.fetchval(f"SELECT count(*) FROM {schema}.leads")
    record: Sequence[int] = await owner.fetchrow(
        f"SELECT count(*), count(DISTINCT to_email) FROM {schema}.email_sends WHERE status = 'sent'", timeout=600.0
    )
    counts = {leads, row["sent"], row["made"], row["expected"], *record, *([] if arrived is None else [arrived])}
    print(
        f"leads {leads:,} · made {row['made']:,} · sent {row['sent']:,} · recorded {record[0]:,}, {record[1]:,} different · arrived {arrived}"
    )
    return len(counts) == 1 and row["live"] == 0


if __name__ == "__main__":
    main(measure)
