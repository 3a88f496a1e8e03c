"""`import_leads`: what becomes of each row, and of an import that stops in its middle."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.errors import LeadsError
from mailworkers.leads import records
from mailworkers.leads.importing import Pace, Progress, import_leads
from mailworkers.leads.ledger import Wanted
from mailworkers.settings import Settings
from tests.leads.conftest import Write
from tests.leads.lists import mixed

ROWS = 7300  # eight chunks, the last one not full
WAIT_SECONDS = 30.0
COUNTS = ("rows", "accepted", "updated", "kept", "duplicates", "refused")
HEADER = ("Email", "Name", "City")


def counts(of: Any) -> dict[str, int]:
    return {name: of[name] if isinstance(of, dict) else getattr(of, name) for name in COUNTS}


def some(**given: int) -> dict[str, int]:
    return dict.fromkeys(COUNTS, 0) | given


async def totals(owner: Any, import_id: int) -> tuple[dict[str, int], dict[str, int], int]:
    """What the import counts, what its batches count together, and how many rejects there are."""
    names = ", ".join(COUNTS)
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTS)
    whole = await owner.fetchrow(f"SELECT {names} FROM mailworkers.lead_imports WHERE id = $1", import_id)
    parts = await owner.fetchrow(f"SELECT {sums} FROM mailworkers.lead_import_batches WHERE import_id = $1", import_id)
    refused = await owner.fetchval(
        "SELECT count(*) FROM mailworkers.lead_import_rejects WHERE import_id = $1", import_id
    )
    return dict(whole), dict(parts), refused


class Stop(Exception):
    """What ends an import in its middle."""


def stopping_at(rows: int) -> Callable[[Progress], None]:
    """Raises once so many rows are committed."""

    def tell(progress: Progress) -> None:
        if progress.rows >= rows:
            raise Stop

    return tell


async def test_every_row_has_the_outcome_that_it_should(database: Database, owner: Any, tmp_path: Path) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)

    done = await import_leads(database, Wanted(tmp_path / "list.csv", "acme", "news"))

    assert counts(done) == expected
    whole, parts, refused = await totals(owner, done.import_id)
    assert whole == parts == expected
    assert refused == expected["refused"]
    assert (
        await owner.fetchval("SELECT count(*) FROM mailworkers.leads WHERE workspace_id = 'acme'")
        == expected["accepted"]
    )
    [listed] = await records.list_lists(database.claims, "acme")
    assert (listed.name, listed.leads) == ("news", expected["accepted"])
    [line] = await records.list_imports(database.claims, "acme", 10)
    assert (line.status, line.bytes_read) == ("finished", (tmp_path / "list.csv").stat().st_size)


async def test_an_import_that_stops_goes_on_and_counts_nothing_twice(
    database: Database, owner: Any, tmp_path: Path
) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)
    wanted = Wanted(tmp_path / "list.csv")

    # given an import that was stopped three times, in other places each
    for rows in (1, 2500, 5000):
        with pytest.raises(Stop):
            await import_leads(database, wanted, stopping_at(rows))
    [stopped] = await records.list_imports(database.claims, None, 10)
    assert stopped.status == "interrupted"
    assert 5000 <= stopped.rows < ROWS

    # when the file lies elsewhere, and it is imported again
    (tmp_path / "list.csv").rename(tmp_path / "elsewhere.csv")
    done = await import_leads(database, Wanted(tmp_path / "elsewhere.csv"))

    # then it went on, and the counts are those of a single run
    assert done.before == stopped.rows
    assert counts(done) == expected
    whole, parts, refused = await totals(owner, done.import_id)
    assert (whole, refused) == (parts, expected["refused"])
    # and the next one is another import
    again = await import_leads(database, Wanted(tmp_path / "elsewhere.csv"))
    assert again.import_id > done.import_id
    assert counts(again) == {**expected, "accepted": 0, "updated": expected["accepted"]}


async def test_progress_is_kept_with_each_chunk_and_told(database: Database, owner: Any, tmp_path: Path) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)
    wanted = Wanted(tmp_path / "list.csv", "acme")
    told: list[dict[str, Any]] = []
    await owner.add_listener("mailworkers_progress", lambda *heard: told.append(json.loads(heard[-1])))
    look = "SELECT total, done, failed FROM mailworkers.progress_tracking WHERE kind = 'import' AND subject_id = 1 AND part = 0"

    # when it stops in its middle
    with pytest.raises(Stop):
        await import_leads(database, wanted, stopping_at(3000))

    # then the row holds what is committed, and an estimate of what there is
    total, done, failed = await owner.fetchrow(look)
    assert (done, failed) == tuple(
        await owner.fetchrow("SELECT rows, refused FROM mailworkers.lead_imports WHERE id = 1")
    )
    assert 3000 <= done < ROWS
    assert 0.8 * ROWS < total < 1.2 * ROWS

    # and when it has gone on to its end, both are exact, and listeners have heard of its stop and its end
    await import_leads(database, wanted)
    assert tuple(await owner.fetchrow(look)) == (ROWS, ROWS, expected["refused"])
    assert [(one["kind"], one["id"], one["workspace"]) for one in told] == [("import", 1, "acme")] * len(told)
    assert [one["status"] for one in told if one["status"] != "running"] == ["interrupted", "finished"]
    assert {name: told[-1][name] for name in COUNTS[1:]} == {name: expected[name] for name in COUNTS[1:]}
    assert (told[-1]["done"], told[-1]["total"]) == (ROWS, ROWS)


def test_listeners_are_told_at_most_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mailworkers.leads.importing.time.monotonic", lambda: now)
    pace, told = Pace(), []
    for step in range(300):
        now = 1000.0 + step / 100
        if pace.due(last=step == 299):
            told.append(now)
    assert told[0] == 1000.0
    assert told[-1] == now
    assert all(later - earlier >= 1 for earlier, later in zip(told, told[4:], strict=False))


async def test_an_import_does_not_go_on_with_another_text(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    mixed(path, ROWS)
    with pytest.raises(Stop):
        await import_leads(database, Wanted(path), stopping_at(4000))
    text = path.read_bytes()
    at = text.index(b"example", 100_000)
    path.write_bytes(text[:at] + b"EXAMPLE" + text[at + 7 :])

    with pytest.raises(LeadsError, match="not what import 1 has read") as problem:
        await import_leads(database, Wanted(path))

    assert "--anew" in problem.value.hint
    assert (await import_leads(database, Wanted(path, anew=True))).import_id == 2


async def test_of_two_that_go_on_with_one_import_one_gives_way(database: Database, owner: Any, tmp_path: Path) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)
    wanted = Wanted(tmp_path / "list.csv")
    with pytest.raises(Stop):
        await import_leads(database, wanted, stopping_at(1000))

    async with asyncio.timeout(WAIT_SECONDS):
        ended = await asyncio.gather(*(import_leads(database, wanted) for _ in range(2)), return_exceptions=True)

    done = [one for one in ended if isinstance(one, Progress)]
    assert len(done) == 1, ended
    assert [type(one) for one in ended if not isinstance(one, Progress)] == [LeadsError]
    assert counts(done[0]) == expected
    assert (await totals(owner, done[0].import_id))[0] == expected


async def test_two_imports_of_the_same_people_at_once_make_each_lead_once(
    database: Database, owner: Any, tmp_path: Path
) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)
    wanted = [Wanted(tmp_path / "list.csv", list_name=name, anew=True) for name in ("one", "two")]

    async with asyncio.timeout(WAIT_SECONDS):
        one, two = await asyncio.gather(*(import_leads(database, each) for each in wanted))

    assert one.accepted + two.accepted == expected["accepted"]
    assert one.refused == two.refused == expected["refused"]
    assert await owner.fetchval("SELECT count(*) FROM mailworkers.leads") == expected["accepted"]
    assert [line.leads for line in await records.list_lists(database.claims, "default")] == [expected["accepted"]] * 2


async def test_existing_leads_are_updated_by_what_the_file_has(database: Database, write: Write) -> None:
    first = write(HEADER, ("ann@a.example", "Ann", "Bonn"), ("bo@a.example", "Bo", "Köln"))
    await import_leads(database, Wanted(first, list_name="old"))
    second = write(
        ("E-Mail", "Plan", "City"), ("ANN@A.example", "x", "y"), ("ann@A.example", "pro", "Ulm"),
        ("ann@a.example", "free", "Jena"), ("di@a.example", "pro", ""), name="second.csv",
    )  # fmt: skip

    done = await import_leads(database, Wanted(second, list_name="new"))

    # ANN@ is another mailbox; of ann@'s two rows the first counts
    assert counts(done) == some(rows=4, accepted=2, updated=1, duplicates=1)
    ann = await records.read_lead(database.claims, "ann@A.EXAMPLE", "default")
    assert ann is not None
    assert (ann.name, ann.data, ann.lists) == ("Ann", {"city": "Ulm", "plan": "pro"}, ("new", "old"))
    bo = await records.read_lead(database.claims, "bo@a.example", "default")
    assert bo is not None
    assert (bo.data, bo.lists) == ({"city": "Köln"}, ("old",))


async def test_existing_leads_are_kept_but_come_on_the_list(database: Database, write: Write) -> None:
    await import_leads(database, Wanted(write(HEADER, ("ann@a.example", "Ann", "Bonn"))))
    second = write(
        HEADER, ("ann@a.example", "X", "Y"), ("bo@a.example", "Bo", ""), ("ann@a.example", "Z", "Z"), name="2.csv"
    )

    done = await import_leads(database, Wanted(second, list_name="new", on_existing="keep"))

    assert counts(done) == some(rows=3, accepted=1, kept=2)
    ann = await records.read_lead(database.claims, "ann@a.example", "default")
    assert ann is not None
    assert (ann.name, ann.data, ann.lists) == ("Ann", {"city": "Bonn"}, ("new",))


async def test_nobody_who_has_unsubscribed_comes_back_by_an_import(
    database: Database, owner: Any, write: Write
) -> None:
    path = write(HEADER, ("ann@a.example", "Ann", "Bonn"))
    await import_leads(database, Wanted(path))
    await owner.execute("UPDATE mailworkers.leads SET status = 'unsubscribed'")

    await import_leads(database, Wanted(path))

    assert await owner.fetchval("SELECT status FROM mailworkers.leads") == "unsubscribed"


async def test_workspaces_know_nothing_of_each_other(database: Database, write: Write) -> None:
    path = write(HEADER, ("ann@a.example", "Ann", "Bonn"))
    for workspace in ("one", "two\\t"):
        assert (await import_leads(database, Wanted(path, workspace))).accepted == 1
    assert await records.remove_lead(database.claims, "ann@a.example", "one")
    assert await records.read_lead(database.claims, "ann@a.example", "one") is None
    assert await records.read_lead(database.claims, "ann@a.example", "two\\t") is not None


async def test_what_is_hostile_is_stored_as_it_is_or_refused(database: Database, owner: Any, write: Write) -> None:
    path = write(
        HEADER,
        ("a@a.example", "Ann\nSmith\x01", '\\N\t"{{ x }}"\\'),
        ("b@a.example", "\\.", "\\u0000"),
        ("c@a.example", "C", "zero\0byte"),
        ("d@a.example", "n" * 1001, ""),
        ("e@a.example\r\nBcc: x@b.example", "E", ""),
        ("f@a.example", "F", "Bonn", "too", "many"),
        ("g@a.example", "", ""),
        ("h@a.example",),
    )
    with path.open("ab") as file:
        file.write(b"i@a.example,\xff,\nj@a.example,J,\xff\n")

    done = await import_leads(database, Wanted(path, encoding="utf-8"))

    assert counts(done) == some(rows=10, accepted=4, refused=6)
    rows = await owner.fetch("SELECT email, name, data ->> 'city' AS city FROM mailworkers.leads ORDER BY email")
    assert [tuple(row) for row in rows] == [
        ("a@a.example", "Ann Smith", '\\N\t"{{ x }}"\\'),
        ("b@a.example", "\\.", "\\u0000"),
        ("g@a.example", None, ""),
        ("h@a.example", None, ""),
    ]
    refused = [reject async for reject in records.rejects(database.claims, done.import_id)]
    assert [(reject.line, reject.email.split("@")[0]) for reject in refused] == [
        (5, "c"), (6, "d"), (7, "e"), (9, "f"), (12, "i"), (13, "j"),
    ]  # fmt: skip
    said = ("zero byte", "1,000 characters", "invalid characters", "has 5 fields, the header 3", "encoding", "encoding")
    assert all(words in reject.reason for words, reject in zip(said, refused, strict=True))


async def test_json_lines_keep_the_types_of_their_values(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "list.ndjson"
    rows = [
        {"E-Mail": "ann@a.example", "Name": "Ann", "Age": 7, "tags": ["x", {"y": None}]},
        {"email": "bo@a.example", "first name": "Bo", "last_name": None},
        {"email": 5},
        {"name": "nobody"},
        {"email": "ann@A.example", "name": "\ud800"},
        {"email": "di@a.example", "city": "\u0000"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")

    done = await import_leads(database, Wanted(path))

    assert counts(done) == some(rows=7, accepted=2, refused=5)
    ann = await records.read_lead(database.claims, "ann@a.example", "default")
    assert ann is not None
    assert (ann.name, ann.data) == ("Ann", {"age": 7, "tags": ["x", {"y": None}]})
    bo = await records.read_lead(database.claims, "bo@a.example", "default")
    assert bo is not None
    assert bo.name == "Bo"


async def test_large_variables_make_smaller_chunks(database: Database, owner: Any, tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(200):
            file.write(json.dumps({"email": f"ann{number}@a.example", "life": "x" * 100_000}) + "\n")

    done = await import_leads(database, Wanted(path))

    assert counts(done) == some(rows=200, accepted=200)
    assert await owner.fetchval("SELECT max(rows) < 90 FROM mailworkers.lead_import_batches")


async def test_the_role_of_the_daemon_is_enough(settings: Settings, database_url: str, tmp_path: Path) -> None:
    expected = mixed(tmp_path / "list.csv", 1500)
    database = await Database.connect(
        settings, f"{database_url}{'&' if '?' in database_url else '?'}role=mailworkers_worker"
    )
    try:
        for wanted in (
            Wanted(tmp_path / "list.csv", list_name="news"),
            Wanted(tmp_path / "list.csv", list_name="news", anew=True),
        ):
            done = await import_leads(database, wanted)
    finally:
        await database.close()
    assert counts(done) == {**expected, "accepted": 0, "updated": expected["accepted"]}


async def test_addresses_are_looked_for_by_their_own_index_even_while_there_are_none(database: Database) -> None:
    async with database.claims.connection("explaining") as session:
        await session.execute("PREPARE one AS " + database.queries["leads/known"])
        plan = await session.fetch("EXPLAIN EXECUTE one('ann@a.example', 'default')")
        await session.execute("DEALLOCATE one")
    assert 'using "email is a lead of this workspace already"' in "\n".join(row[0] for row in plan)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "utf-8-sig"])
async def test_other_encodings_are_read_to_their_end(database: Database, write: Write, encoding: str) -> None:
    people = [(f"ann{n}@büro.example", "Zoë", "Köln") for n in range(3000)]
    path = write(HEADER, *people, encoding=encoding)

    done = await import_leads(database, Wanted(path))

    assert counts(done) == some(rows=3000, accepted=3000)
    last = await records.read_lead(database.claims, "ann2999@büro.example", "default")
    assert last is not None
    assert (last.name, last.data, last.email) == ("Zoë", {"city": "Köln"}, "ann2999@xn--bro-hoa.example")


async def test_a_pipe_is_read_as_it_comes_and_goes_on_too(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = mixed(tmp_path / "list.csv", ROWS)

    async def through_a_pipe(tell: Callable[[Progress], None]) -> Progress:
        reading, writing = os.pipe()
        monkeypatch.setattr("mailworkers.leads.source.STANDARD_INPUT_DESCRIPTOR", reading)
        feeding = asyncio.create_task(asyncio.to_thread(_feed, writing, (tmp_path / "list.csv").read_bytes()))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await import_leads(database, Wanted("-"), tell)
        finally:
            os.close(reading)
            await feeding

    with pytest.raises(Stop):
        await through_a_pipe(stopping_at(3000))
    done = await through_a_pipe(lambda _progress: None)

    assert done.before >= 3000
    assert counts(done) == expected


def _feed(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        try:
            file.write(content)
        except BrokenPipeError:
            return
