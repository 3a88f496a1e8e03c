"""Several who write the same people at once: each lead is made once, and nobody waits in a circle."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mailworkers.db.pool import Database
from mailworkers.leads import records
from mailworkers.leads.importing import import_leads
from mailworkers.leads.ledger import Wanted
from mailworkers.settings import Settings
from tests.support.waiting import eventually

PEOPLE = 300
WAIT_SECONDS = 60.0
DEADLOCK_TIMEOUT = "2s"  # until the import looks whether it waits in a circle: time enough to close that
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@asynccontextmanager
async def a_database(settings: Settings, url: str, deadlock_timeout: str) -> AsyncIterator[Database]:
    """Connections that look after so long whether they wait in a circle."""
    mark = "&" if "?" in url else "?"
    database = await Database.connect(settings, f"{url}{mark}deadlock_timeout={deadlock_timeout}")
    try:
        yield database
    finally:
        await database.close()


def written(path: Path, people: Iterable[str]) -> Wanted:
    """A list of these, in this order."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("email", "city"), *((email, path.stem) for email in people)])
    return Wanted(path, list_name="all")


async def test_imports_of_the_same_people_in_any_order_do_not_wait_in_a_circle(
    settings: Settings, database_url: str, owner: Any, tmp_path: Path
) -> None:
    # given a third of them as leads, so that some are updated and others new; a database that breaks no circle, so that one ends in
    # a lock's time-out; and an application that has written the one in the middle
    people = [f"ann{number}@a.example" for number in range(100, 100 + PEOPLE)]
    for email in people[::3]:
        await owner.execute("SELECT mailworkers.add_lead($1)", email)
    application = owner.transaction()
    await application.start()
    await owner.execute("SELECT mailworkers.add_lead($1)", people[PEOPLE // 2 + 1])
    wanted = [written(tmp_path / "a.csv", people), written(tmp_path / "b.csv", reversed(people))]

    # when two imports of them in opposite orders have come as far as they could, and it gives way
    async with a_database(settings, database_url, "1h") as database, asyncio.timeout(WAIT_SECONDS):
        imports = [asyncio.create_task(import_leads(database, each)) for each in wanted]
        await eventually(lambda: _waiting(database, len(imports)), "both imports wait")
        await application.rollback()
        done = await asyncio.gather(*imports)

        # then each row is counted, and each lead is there once
        assert sum(each.accepted for each in done) == PEOPLE * 2 // 3
        assert [each.accepted + each.updated for each in done] == [PEOPLE] * 2
        assert await owner.fetchval("SELECT count(*) FROM mailworkers.leads") == PEOPLE
        assert [line.leads for line in await records.list_lists(database.claims, "default")] == [PEOPLE]


async def test_an_import_tries_again_where_an_application_writes_in_another_order(
    settings: Settings, database_url: str, owner: Any, tmp_path: Path
) -> None:
    patient = settings.model_copy(update={"database_timeout_seconds": WAIT_SECONDS})
    path = tmp_path / "list.csv"
    path.write_text("email\na@a.example\nz@a.example\n")
    async with a_database(patient, database_url, DEADLOCK_TIMEOUT) as database, asyncio.timeout(WAIT_SECONDS):
        # given an application that has written the last one and not committed, and an import that waits for it
        await owner.execute("SET deadlock_timeout = '1h'")
        application = owner.transaction()
        await application.start()
        await owner.execute("SELECT mailworkers.add_lead('z@a.example')")
        importing = asyncio.create_task(import_leads(database, Wanted(path)))
        await eventually(lambda: _waiting(database, 1), "the import waits for the application")

        # when the application writes the first one too, and so waits for the import
        await owner.execute("SELECT mailworkers.add_lead('a@a.example')")
        await application.commit()

        # then the import gives way, and meets both as leads that were there before
        done = await importing
    assert (done.accepted, done.updated) == (0, 2)
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.leads") == 2


async def _waiting(database: Database, many: int) -> bool:
    async with database.leases.connection("looking who waits") as session:
        return bool(await session.fetchval(WAITS) == many)
