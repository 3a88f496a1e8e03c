"""What the trigger that wakes idle daemons costs those who insert: 16 clients, one row a transaction, the daemon busy."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from mailworkers.bench.child import START_SECONDS, child
from mailworkers.bench.inserting import ROLE, application
from mailworkers.bench.mails import SENDER, Mails
from mailworkers.bench.passage import Ground
from mailworkers.bench.schema import own_schema
from mailworkers.db.pool import connect_once
from tests.speed.ground import MAIL_OCTETS, RUNS, a_database, a_plan, a_relay, main, ratio, show, verdict

CLIENTS = 16
SECONDS = 5
BACKLOG = 400_000  # what keeps the daemon busy throughout
WITH, WITHOUT = "with its triggers", "without any trigger"
_RATE = re.compile(r"tps = ([\d.]+) \(without")


def pgbench() -> str:
    """PostgreSQL's own load generator."""
    found = shutil.which("pgbench") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench")), None)
    if found is None:
        raise SystemExit("pgbench is needed: it comes with PostgreSQL (on Debian: the package postgresql)")
    return found


async def inserts_a_second(program: str, dsn: str, script: Path) -> float:
    """Of all clients together."""
    process = await asyncio.create_subprocess_exec(
        program, "-n", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "-f", str(script), dsn,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PGOPTIONS": f"-c role={ROLE}"},
    )  # fmt: skip
    async with asyncio.timeout(SECONDS + 30):
        said, _ = await process.communicate()
    found = _RATE.search(said.decode())
    assert found is not None, said.decode()
    return float(found[1])


async def measure() -> bool:
    """Both, side by side, several times."""
    program = pgbench()
    rates: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    async with a_database() as (settings, dsn), a_relay() as relay, AsyncExitStack() as stack:
        schema = await stack.enter_async_context(own_schema(settings, dsn))
        owner = await connect_once(settings, dsn, "speed")
        stack.callback(owner.terminate)
        mails = Mails(MAIL_OCTETS)
        script = Path(stack.enter_context(TemporaryDirectory())) / "insert.sql"
        script.write_text(
            f"INSERT INTO {schema}.email_jobs (to_email, subject, text_body, from_email)"
            f" VALUES ('{mails.recipient(1)}', '{mails.subject(1)}', '{mails.text}', '{SENDER}');\n"
        )
        async with application(dsn, schema, mails) as app, app.copied(BACKLOG):
            pass
        daemon = await stack.enter_async_context(
            child("daemon", "daemon", Ground(settings, dsn, relay, a_plan(1)).order(schema))
        )
        await daemon.hear(START_SECONDS)
        for _ in range(RUNS):
            # A trigger finds the destination's group; without it, each mail is of the group of all others.
            for name, switch, group in ((WITH, "ENABLE", "NULL"), (WITHOUT, "DISABLE", "''")):
                await owner.execute(
                    f"ALTER TABLE {schema}.email_jobs {switch} TRIGGER USER, ALTER COLUMN destination_group SET DEFAULT {group}",
                    timeout=60.0,
                )
                rates[name].append(await inserts_a_second(program, dsn, script))
        left = await owner.fetchval(f"SELECT count(*) FROM {schema}.email_jobs", timeout=60.0)
    show(rates, "inserts/s")
    print(f"jobs still waiting at the end: {left:,}")
    assert left > 0, "the daemon ran dry: it was not busy throughout"
    return verdict("with against without", ratio(rates, WITH, WITHOUT), 0.9)


if __name__ == "__main__":
    main(measure)
