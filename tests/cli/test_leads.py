"""`mailworkers leads`: importing contacts, and looking at them."""

from __future__ import annotations

import csv
import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from mailworkers.cli.leads_screen import EARLY_SECONDS, ImportScreen
from mailworkers.leads.importing import Progress
from tests.cli.conftest import Command, Sql
from tests.support.program import END_SECONDS, started
from tests.support.waiting import wait_until

ROWS = """Kunde;E-Mail-Adresse;Ort
Ann;ann@a.example;Bonn
Bo;bo@a.example;Köln
Ann;ann@A.example;Ulm
Niemand;;
"""
MAPPED = ("--map", "email=e-mail-adresse", "--map", "name=Kunde", "--map", "city=Ort")


@pytest.fixture
def contacts(tmp_path: Path) -> Path:
    path = tmp_path / "kontakte.csv"
    path.write_text(ROWS, encoding="latin-1")
    return path


def test_contacts_are_imported_and_shown(on_database: Command, contacts: Path, tmp_path: Path) -> None:
    refused = tmp_path / "refused.csv"

    ended = on_database(
        "leads", "import", str(contacts), "-w", "acme", "--list", "news", "--rejects", str(refused), *MAPPED
    )

    assert ended.code == 0
    assert "cp1252" in ended.err
    assert [line.split()[:2] for line in ended.out.splitlines()[:4]] == [
        ["rows", "4"], ["new", "2"], ["duplicates", "1"], ["refused", "1"],
    ]  # fmt: skip
    with refused.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["line", "email", "reason"], ["5", "", "there is no address"]]
    assert on_database("leads", "rejects", "1").out == "line,email,reason\n5,,there is no address\n"
    lead = on_database("leads", "show", "ann@A.EXAMPLE", "-w", "acme", "--json").json
    assert (lead["name"], lead["data"], lead["lists"]) == ("Ann", {"city": "Bonn"}, ["news"])
    assert "{{ city }}" in on_database("leads", "show", "bo@a.example", "-w", "acme").out
    assert on_database("leads", "lists", "-w", "acme", "--json").json[0]["leads"] == 2
    [listed] = on_database("leads", "imports", "--json").json
    assert (listed["status"], listed["accepted"], listed["list"]) == ("finished", 2, "news")
    assert "finished" in on_database("leads", "imports").out


def test_counts_come_as_json(on_database: Command, contacts: Path) -> None:
    told = on_database("leads", "import", str(contacts), "--json", *MAPPED).json
    assert {name: told[name] for name in ("rows", "accepted", "updated", "kept", "duplicates", "refused")} == {
        "rows": 4, "accepted": 2, "updated": 0, "kept": 0, "duplicates": 1, "refused": 1,
    }  # fmt: skip
    again = on_database("leads", "import", str(contacts), "--json", "--on-existing", "keep", *MAPPED).json
    assert (again["accepted"], again["kept"], again["duplicates"]) == (0, 3, 0)


def test_rows_that_do_not_fit_the_encoding_are_told_at_the_end(on_database: Command, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,city\nann@a.example,Köln\nbo@a.example,Fürth\ncy@a.example,Bonn\n", encoding="latin-1")

    ended = on_database("leads", "import", str(path), "--encoding", "utf-8")

    assert ended.code == 0
    assert ended.err == (
        "mailworkers: 2 of 3 rows are not valid UTF-8 and are refused: give the file's own encoding, such as "
        "--encoding cp1252 or --encoding latin-1, and import it again\n"
    )
    told = on_database("leads", "import", str(path), "--encoding", "ascii", "--json").json
    assert (told["refused"], len(told["notes"])) == (2, 1)
    assert "2 of 3 rows are not valid ASCII" in told["notes"][0]
    mended = on_database("leads", "import", str(path), "--encoding", "cp1252", "--json").json
    assert (mended["accepted"], mended["updated"], mended["notes"]) == (2, 1, [])


def test_a_long_import_tells_once_and_early_of_rows_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    screen = ImportScreen()
    begun = Progress(1, 0, 0, 0, 0, 0, 0, before=0, bytes_read=0, bytes_total=None, seconds=0.0, encoding="ascii")
    screen.progressed(begun)
    screen.progressed(replace(begun, rows=1000, refused=7, unfit=7, seconds=EARLY_SECONDS / 2))
    assert capsys.readouterr().err == ""
    for rows in (2000, 3000):
        screen.progressed(replace(begun, rows=rows, refused=9, unfit=9, seconds=EARLY_SECONDS))
    screen.close()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("mailworkers: so far, 9 of 2,000 rows are not valid ASCII")


def test_a_lead_is_forgotten(on_database: Command, contacts: Path, sql: Sql) -> None:
    on_database("leads", "import", str(contacts), "--list", "news", *MAPPED)
    assert on_database("leads", "remove", "ann@a.example").out == "Removed ann@a.example.\n"
    assert sql("SELECT count(*) FROM mailworkers.lead_list_members") == 1
    assert on_database("leads", "show", "ann@a.example").code == 65
    assert on_database("leads", "remove", "ann@a.example").code == 65


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("import", "nowhere.csv"), 65, "cannot read nowhere.csv"),
        (("import", "{file}", "--delimiter", "|"), 65, "no column is called email"),
        (("import", "{file}", "--map", "email"), 2, "takes FIELD=TITLE"),
        (("import", "{file}", "--map", "email=Mail"), 65, "no column 'Mail'"),
        (("import", "{file}", "--map", "x y=Ort"), 65, "cannot be a variable"),
        (("import", "{file}", "--delimiter", "ab"), 65, "cannot be a delimiter"),
        (("import", "{file}", "--encoding", "klingon"), 65, "no encoding klingon"),
        (("import", "{file}", "--rejects", "/nowhere/x.csv"), 65, "cannot write"),
        (("import", "{file}", "--rejects", "{file}"), 65, "is the file that is to be imported"),
        (("import", "{file}", "-w", ""), 65, "workspace's name"),
        (("rejects", "7"), 65, "no import 7"),
        (("show", "nobody"), 65, "is no address"),
        (("show", "ann@a.example"), 65, "has no lead"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    on_database: Command, contacts: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = on_database("leads", *(part.format(file=contacts) for part in arguments))
    assert (ended.code, ended.err.count("\n"), ended.out) == (code, 1, "")
    assert said in ended.err
    assert contacts.read_text("latin-1") == ROWS


def test_nothing_yet_is_said_so(on_database: Command) -> None:
    assert on_database("leads", "imports").out == "No imports yet.\n"
    assert on_database("leads", "lists").out == "Workspace default has no lists.\n"


def test_an_interrupt_says_how_to_go_on(database_url: str, sql: Sql, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("email\n" + "".join(f"lead{n}@a.example\n" for n in range(200_000)))
    with started("leads", "import", str(path), DATABASE_URL=database_url) as process:
        wait_until(
            lambda: bool(sql("SELECT count(*) FROM mailworkers.lead_import_batches")),
            "a chunk is committed",
            END_SECONDS,
        )
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    assert sql("SELECT status FROM mailworkers.lead_imports") == "interrupted"


def test_an_import_is_watched_until_it_ends(on_database: Command, sql: Sql, database_url: str, contacts: Path) -> None:
    # given an import that has been killed: its last sign of life was just now
    on_database("leads", "import", str(contacts), "--json", *MAPPED)
    sql(
        "UPDATE mailworkers.lead_imports SET status = 'running', finished_at = NULL, rows = 3, refused = 0, updated_at = now()"
    )

    with started("leads", "watch", "1", "--json", DATABASE_URL=database_url) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["rows"] == 3
        # when somebody goes on with it, and it ends
        sql("UPDATE mailworkers.lead_imports SET status = 'finished', rows = 4, refused = 1, updated_at = now()")
        last = json.loads(process.stdout.readline())
        assert (last["status"], last["rows"]) == ("finished", 4)
        assert process.wait(END_SECONDS) == 0

    sql("UPDATE mailworkers.lead_imports SET status = 'interrupted'")
    ended = on_database("leads", "watch", "1")
    assert ended.code == 1
    assert "goes on from there" in ended.err
    assert "no import 2" in on_database("leads", "watch", "2").err
