"""What other tenants feel of a campaign: a mail of B a few times a second, from its insert to its record, while A does much.

Three forms: B alone; while A's campaign runs at full speed; while A's only lane may send one mail a second. What is measured ends
with the record of the mail, thus some milliseconds after the relay took it: all by the database's clock.
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import AsyncExitStack
from typing import Any

from mailworkers.bench.child import START_SECONDS, child
from mailworkers.bench.passage import Ground
from mailworkers.bench.schema import own_schema
from mailworkers.db.pool import connect_once
from tests.speed.ground import MAIL_OCTETS, a_database, a_plan, a_relay, main, verdict
from tests.support.waiting import eventually

MAILS = int(os.environ.get("MAILWORKERS_SPEED_FAIRNESS_MAILS", "300"))
PAUSE_SECONDS = (0.05, 0.15)  # between two of B's mails, in no step with the daemon's timers
# A's mails: more than go out meanwhile.
CAMPAIGN = int(os.environ.get("MAILWORKERS_SPEED_FAIRNESS_CAMPAIGN", "400000"))
MOST_SECONDS = 600.0
MOST_P99 = 0.100
ALONE, BESIDE, LIMITED = "B alone", "while A's campaign runs at full speed", "while A's lane may send 1/s"

A_CAMPAIGN = """
INSERT INTO {schema}.email_jobs (workspace_id, destination_group, campaign_id, lead_id, priority, from_email, to_email, subject, text_body)
SELECT 'a', '', 1, n, 10, 's@sender.example', 'reader' || n || '@a.example', 'News ' || n, repeat('All the news. ', $2::integer / 14)
FROM generate_series(1, $1::integer) AS n
"""
A_LIMIT = "INSERT INTO {schema}.limit_settings (scope, name, tokens, seconds) VALUES ('lane', 'a/', 1, 1)"
B_MAIL = """
INSERT INTO {schema}.email_jobs (workspace_id, from_email, to_email, subject, text_body)
VALUES ('b', 's@sender.example', $1, 'Your code', 'It is 123456.')
"""
B_LEFT = "SELECT true WHERE NOT EXISTS (SELECT FROM {schema}.email_jobs WHERE workspace_id = 'b')"
B_WAITS = """
SELECT count(*), percentile_cont(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at))
FROM {schema}.email_sends WHERE workspace_id = 'b'
"""
A_SENT = "SELECT count(*) FROM {schema}.email_sends WHERE workspace_id = 'a'"


async def _waits(ground: Ground, form: str) -> float:
    """Print what B felt, and how fast A went meanwhile; the 99th percentile in seconds."""
    async with AsyncExitStack() as stack:
        schema = await stack.enter_async_context(own_schema(ground.settings, ground.dsn))
        patient = ground.settings.model_copy(update={"database_timeout_seconds": MOST_SECONDS})
        owner = await connect_once(patient, ground.dsn, "speed")
        stack.callback(owner.terminate)

        async def run(statement: str, *arguments: object) -> Any:
            rows = await owner.fetch(statement.format(schema=schema), *arguments, timeout=MOST_SECONDS)
            return rows[0] if rows else None

        if form == LIMITED:
            await run(A_LIMIT)
        if form != ALONE:
            await run(A_CAMPAIGN, CAMPAIGN, MAIL_OCTETS)
            await owner.execute(f"VACUUM ANALYZE {schema}.email_jobs", timeout=MOST_SECONDS)
        daemon = await stack.enter_async_context(child("daemon", "daemon", ground.order(schema)))
        await daemon.hear(START_SECONDS)
        await asyncio.sleep(2.0)
        before, began = (await run(A_SENT))[0], asyncio.get_running_loop().time()
        for number in range(MAILS):
            await run(B_MAIL, f"reader{number}@b.example")
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
        sent = (await run(A_SENT))[0] - before
        speed = sent / (asyncio.get_running_loop().time() - began)
        await eventually(lambda: run(B_LEFT), "B's mails are recorded")
        count, (p50, p99, most) = await run(B_WAITS)
        assert count == MAILS
        assert form != BESIDE or (await run(A_SENT))[0] < CAMPAIGN, "A's campaign ended too soon"
    print(
        f"{form:44} p50 {p50 * 1e3:6.1f} ms   p99 {p99 * 1e3:6.1f} ms   most {most * 1e3:6.1f} ms   A: {speed:,.0f} mails/s"
    )
    return float(p99)


async def measure() -> bool:
    """All forms, one after the other."""
    async with a_database() as (settings, dsn), a_relay() as relay:
        ground = Ground(settings, dsn, relay, a_plan(CAMPAIGN))
        worst = {form: await _waits(ground, form) for form in FORMS}
    verdicts = [
        verdict(f"{MOST_P99 * 1e3:.0f} ms against the p99 {form}", MOST_P99 / p99, 1.0) for form, p99 in worst.items()
    ]
    return all(verdicts)


FORMS = tuple(
    form for form in (ALONE, BESIDE, LIMITED)
    if form in os.environ.get("MAILWORKERS_SPEED_FAIRNESS_FORMS", ";".join((ALONE, BESIDE, LIMITED))).split(";")
)  # fmt: skip


if __name__ == "__main__":
    main(measure)
