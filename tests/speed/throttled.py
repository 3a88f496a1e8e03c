"""How a daemon finds out what a relay takes, and comes back when it takes more: the rate over time, and what that costs.

python -m tests.speed.throttled [421|450] [daemons]
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack

import asyncpg

from mailworkers.settings import Settings
from tests.speed.ground import main, verdict
from tests.support.database import Databases, postgresql
from tests.support.running import running_daemon
from tests.support.throttling_relay import ThrottlingRelay

RATE = 50.0
LIFTED = 400.0  # what the relay takes in the end
SETTLING_SECONDS = 120
WATCHED_SECONDS = 60
RECOVERY_SECONDS = 180
EVERY_SECONDS = 10
MAILS = 60_000
INSERT = """
INSERT INTO mailworkers.email_jobs (to_email, subject, text_body)
SELECT 'reader' || n || '@example.org', 'Hello', 'Hi' FROM generate_series(1, $1::integer) AS n
"""
SPENT = "SELECT coalesce(sum(attempts), 0) FROM mailworkers.email_jobs"
ABANDONED = "SELECT count(*) FROM mailworkers.email_sends WHERE status <> 'sent' OR attempts > 1"
LEARNED = "SELECT coalesce(sum(rate), 0) FROM mailworkers.learned_rates"


async def watch(relay: ThrottlingRelay, owner: asyncpg.Connection, seconds: float, until: float | None = None) -> None:
    """Print the rate every few seconds; end early once it is `until`."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(EVERY_SECONDS, seconds - passed))
        learned = await owner.fetchval(LEARNED)
        rate = relay.rate(EVERY_SECONDS)
        print(
            f"{time.monotonic() - began:5.0f} s  {rate:7.1f} mails/s   learned {learned:7.1f}   {len(relay.refused):5} refused so far",
            flush=True,
        )
        if until is not None and rate >= until:
            return


async def measure() -> bool:
    """Settle, stay, recover."""
    code = sys.argv[1] if len(sys.argv) > 1 else "421"
    daemons = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    async with AsyncExitStack() as stack:
        databases = stack.enter_context(Databases(stack.enter_context(postgresql())))
        dsn = await asyncio.to_thread(databases.migrated)
        owner = await asyncpg.connect(dsn)
        stack.push_async_callback(owner.close)
        await owner.execute(INSERT, MAILS)
        relay = await stack.enter_async_context(
            ThrottlingRelay(RATE, "450 at RCPT" if code == "450" else "421 at MAIL")
        )
        for number in range(daemons):
            settings = Settings(
                database_url=dsn, instance=f"speed{number}", from_email="sender@example.org", http_port=0,
                worker_rate_per_minute=0, worker_rate_per_hour=0, target_per_hour=0, drain_seconds=5,
                smtp_host="127.0.0.1", smtp_port=relay.port, log_level="ERROR",
            )  # fmt: skip
            await stack.enter_async_context(running_daemon(settings))
        print(f"{daemons} daemon(s), {code}, the relay takes {RATE:g} mails/s")
        await watch(relay, owner, SETTLING_SECONDS)
        await watch(relay, owner, WATCHED_SECONDS)
        settled = relay.rate(WATCHED_SECONDS)
        print(f"the relay now takes {LIFTED:g} mails/s")
        relay.allow(LIFTED)
        lifted = time.monotonic()
        await watch(relay, owner, RECOVERY_SECONDS, LIFTED * 0.8)
        print(f"recovered within {time.monotonic() - lifted:.0f} s")
        spent, abandoned = await owner.fetchval(SPENT), await owner.fetchval(ABANDONED)
        print(f"attempts spent {spent}, not sent or more than once tried {abandoned}")
        verdicts = (
            verdict(f"settled at {settled:.1f} of {RATE:g} mails/s", 1 - abs(settled / RATE - 1), 0.8),
            verdict("recovered", relay.rate(EVERY_SECONDS) / LIFTED, 0.75),
            verdict("no attempt spent, nothing abandoned", float(spent + abandoned == 0), 1.0),
        )
        return all(verdicts)


if __name__ == "__main__":
    main(measure)
