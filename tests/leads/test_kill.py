"""An import that is killed five times, as a process of its own, has counted everything once when it is done."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

from tests.leads.lists import mixed
from tests.support.program import END_SECONDS, mailworkers, started
from tests.support.waiting import eventually

ROWS = 30_000
KILLS = 5
MOST_CHUNKS = 4  # at most so many more are committed before each kill, of 30
CHUNKS = "SELECT coalesce(sum(chunks), 0)::integer FROM mailworkers.lead_imports"


async def test_an_import_killed_five_times_counts_exactly(database_url: str, owner: Any, tmp_path: Path) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)
    arguments = ("leads", "import", str(tmp_path / "list.csv"), "--workspace", "acme", "--list", "all", "--json")
    chance = random.Random(ROWS)

    # given an import that was killed five times, each time after a few more chunks, wherever it then was
    for _ in range(KILLS):
        enough = await owner.fetchval(CHUNKS) + chance.randint(1, MOST_CHUNKS)
        with started(*arguments, DATABASE_URL=database_url) as process:

            async def has_come_so_far(enough: int = enough) -> bool:
                return bool(await owner.fetchval(CHUNKS) >= enough)

            await eventually(has_come_so_far, f"{enough} chunks are committed", END_SECONDS)
            process.kill()
            assert process.wait(END_SECONDS) == -signal.SIGKILL

    # when the same command runs to its end
    ended = mailworkers(*arguments, DATABASE_URL=database_url)

    # then everything is there once
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert {name: told[name] for name in expected} == expected
    assert told["rows_before"] >= KILLS * 1000
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.lead_imports") == 1
    assert (
        await owner.fetchval("SELECT count(*) FROM mailworkers.leads WHERE workspace_id = 'acme'")
        == expected["accepted"]
    )
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.lead_list_members") == expected["accepted"]
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.lead_import_rejects") == expected["refused"]
    batches = await owner.fetchrow("SELECT sum(rows) AS rows, count(*) AS chunks FROM mailworkers.lead_import_batches")
    assert tuple(batches) == (ROWS, await owner.fetchval(CHUNKS))
