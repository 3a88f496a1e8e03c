"""`mailworkers campaign`: creating, changing, checking, looking."""

from __future__ import annotations

import csv
import json
import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Sql

PEOPLE: tuple[tuple[str, str | None, dict[str, object]], ...] = (
    ("ann@a.example", "Ann", {"city": "Bonn", "age": 17}),
    ("bo@a.example", "Bo", {"city": "Bonn", "age": "30"}),
    ("cy@b.example", "Cy", {"city": "Köln", "age": 41, "phone": "1"}),
    ("di@b.example", None, {}),
)
HTML = "<p>Hello {{ name }} in <b>{{ city }}</b>: {{ news }}</p>"


@pytest.fixture
def campaign(on_database: Command, sql: Sql, tmp_path: Path) -> Command:
    """`campaign("create", …)`, in a workspace that has four leads and a letter that one of them cannot get."""
    for email, name, data in PEOPLE:
        sql("SELECT mailworkers.add_lead($1, $2, $3::jsonb, list => 'readers')", email, name, json.dumps(data))
    sql(
        "SELECT mailworkers.save_template('default', 'letter', 'For {{ name|default(\"you\", true) }}', html_body => $1)",
        HTML,
    )
    (tmp_path / "data.json").write_text('{"news": "rain"}')

    def run(*arguments: str) -> object:
        return on_database("campaign", *(part.replace("DATA", str(tmp_path / "data.json")) for part in arguments))

    return run  # type: ignore[return-value]


CREATE = ("create", "july", "--template", "letter", "--data", "DATA", "--from", "The Letter <letter@news.example>")


def test_a_name_that_is_taken_says_by_which_campaign_and_what_to_do(campaign: Command) -> None:
    number = campaign(*CREATE, "--json").json["campaign_id"]
    campaign("create", "august", "--template", "letter")

    again, renamed = campaign(*CREATE), campaign("edit", "august", "--name", "july")

    assert (again.code, renamed.code) == (65, 65)
    assert f'workspace default has a campaign "july" already: number {number}, draft. Choose another name' in again.err
    assert "this workspace has a campaign of this name already. Choose another name" in renamed.err


def test_a_draft_is_created_changed_shown_and_removed(campaign: Command, sql: Sql) -> None:
    made = campaign(
        *CREATE, "--where", "city=Bonn", "--where", "age>=18", "--header", "List-Id=<news.example>", "--json"
    ).json
    assert (made["name"], made["status"], made["workspace"]) == ("july", "draft", "default")
    number = str(made["campaign_id"])

    assert (
        campaign("edit", "july", "--priority", "5", "--unset", "headers", "--reply-to", "answers@news.example").code
        == 0
    )
    shown = campaign("show", number, "--json").json
    assert shown["filter"] == {"city": "Bonn", "age": {">=": 18}}
    assert (shown["priority"], shown["headers"], shown["reply_to"]) == (5, None, "answers@news.example")
    assert (shown["from_email"], shown["from_name"], shown["data"]) == (
        "letter@news.example",
        "The Letter",
        {"news": "rain"},
    )
    assert "The Letter <letter@news.example>" in campaign("show", "july").out
    assert [line["name"] for line in campaign("list", "--status", "draft", "--json").json] == ["july"]

    assert campaign("remove", "july").out == f"Removed campaign {number} july.\n"
    assert campaign("show", "july").code == 65
    assert campaign("list").out == "No campaigns yet.\n"


def test_it_starts_pauses_goes_on_and_is_cancelled(campaign: Command) -> None:
    campaign(*CREATE, "--list", "readers")
    for verb, status in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelling")):
        assert campaign(verb, "july", "--json").json["status"] == status
    refused = campaign("start", "july")
    assert (refused.code, refused.err.count("\n")) == (65, 1)
    assert "cannot be started" in refused.err
    assert "stays in the record" in campaign("remove", "july").err


def test_a_moment_is_told_back_with_its_zone(campaign: Command) -> None:
    assert "starts at 2030-1" in campaign(*CREATE, "--at", "2030-12-01 09:00 Europe/Berlin").out
    shown = campaign("show", "july", "--json").json
    assert (shown["status"], shown["start_at"]) == ("scheduled", "2030-12-01T08:00:00+00:00")
    assert campaign("edit", "july", "--at", "2031-01-01 00:00 UTC").code == 0
    assert campaign("show", "july", "--json").json["start_at"] == "2031-01-01T00:00:00+00:00"
    campaign("create", "other", "--template", "letter")
    refused = campaign("edit", "other", "--at", "2031-01-01 00:00 UTC")
    assert (refused.code, "is a draft" in refused.err) == (65, True)
    assert re.search(r"starts 20(30|31)-", campaign("list").out)


def test_a_check_groups_who_would_get_no_mail_and_why(campaign: Command, tmp_path: Path) -> None:
    campaign(*CREATE)
    rejects = tmp_path / "rejects.csv"

    ended = campaign("check", "july", "--rejects", str(rejects))

    assert ended.code == 1
    assert "1 of 4 leads would get no mail" in ended.out
    assert 'the variable "name" is missing' in ended.out
    assert "for example di@b.example" in ended.out
    with rejects.open(newline="", encoding="utf-8") as file:
        header, row = csv.reader(file)
    assert (header, row[1]) == (["lead", "email", "reason"], "di@b.example")
    told = campaign("check", "july", "--json").json
    assert (told["leads"], told["failed"], told["reasons"][0]["leads"]) == (4, 1, 1)
    campaign("edit", "july", "--where", "city=Bonn|Köln")
    assert campaign("check", "july").code == 0
    assert campaign("check", "july").out.startswith("All 3 leads would get their mail")
    campaign("edit", "july", "--where", "city=Nowhere")
    assert "goes to nobody" in campaign("check", "july").out


def test_a_preview_is_the_mail_itself(campaign: Command, tmp_path: Path) -> None:
    campaign(*CREATE, "--list", "readers", "--where", "city=Bonn", "--header", "List-Id=<news.example>")
    file = tmp_path / "ann.eml"

    assert campaign("preview", "july", "ann@a.example", "--out", str(file)).code == 0
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert (message["From"], message["To"]) == ("The Letter <letter@news.example>", "Ann <ann@a.example>")
    assert (message["Subject"], message["List-Id"]) == ("For Ann", "<news.example>")
    assert campaign("preview", "july", "ann@a.example", "--text").out == "Hello Ann in Bonn: rain\n"
    assert "<b>Bonn</b>" in campaign("preview", "july", "ann@a.example", "--html").out
    other = campaign("preview", "july", "cy@b.example", "--text")
    assert "does not match the campaign's filter" in other.err
    told = campaign("preview", "july", "ann@a.example", "--json").json
    assert (told["subject"], told["would_not_be_sent"], told["file"]) == ("For Ann", None, None)
    failing = campaign("preview", "july", "di@b.example", "--text")
    assert failing.code == 65
    assert 'the variable "name" is missing' in failing.err


def test_segments_are_saved_used_and_forgotten(campaign: Command) -> None:
    assert campaign("segments").out == "Workspace default has no segments.\n"
    assert campaign("segments", "--save", "bonn", "--where", "city=Bonn").code == 0
    assert campaign("segments", "--json").json[0]["filter"] == {"city": "Bonn"}
    campaign(*CREATE, "--segment", "bonn")
    assert campaign("check", "july", "--json").json["leads"] == 2
    assert campaign("segments", "--remove", "bonn").code == 0
    missing = campaign("check", "july")
    assert (missing.code, missing.err.count("\n")) == (65, 1)
    assert "has no segment 'bonn'" in missing.err
    assert campaign("segments", "--remove", "bonn").code == 65


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "nothing"), 65, "has no campaign nothing"),
        (("start", "7"), 65, "has no campaign 7"),
        (("create", "x", "--template", "nothing"), 65, "has no template 'nothing'"),
        (("create", "x", "--template", "letter", "--list", "nobody"), 65, "has no list 'nobody'"),
        (("create", "x", "--template", "letter", "--segment", "nobody"), 65, "has no segment 'nobody'"),
        (("create", "x", "--template", "letter", "--where", "city"), 0, ""),
        (("create", "x", "--template", "letter", "--where", "=Bonn"), 65, "is no condition"),
        (("create", "x", "--template", "letter", "--filter", "{"), 65, '"city": "Bonn"'),
        (("create", "x", "--template", "letter", "--filter", '{"a": {"like": 1}}'), 65, "in a way that is not known"),
        (("create", "x", "--template", "letter", "--filter", '{"a": 1}', "--where", "a=2"), 65, "both speak of a"),
        (("create", "x", "--template", "letter", "--from", "nobody"), 65, "--from must be one address"),
        (("create", "x", "--template", "letter", "--header", "Foo=1"), 65, "'Foo' may not be set. Use X-…, List-…"),
        (("create", "x", "--template", "letter", "--header", "X-One"), 2, "takes NAME=VALUE"),
        (("create", "x", "--template", "letter", "--at", "soon"), 65, "is no moment"),
        (("create", "x", "--template", "letter", "--at", "2020-01-01"), 65, "Nothing was created: give --start"),
        (("start", "x", "--at", "2020-01-01"), 65, "Leave --at out to start it now"),
        (("create", "x", "--template", "letter", "--at", "2030-01-01", "--start"), 2, "not both"),
        (("create", "x\r\nBcc: eve@a.example", "--template", "letter"), 65, "name must be one line"),
        (("edit", "x"), 2, "say what is to change"),
        (("edit", "x", "--unset", "name"), 2, "--unset takes one of"),
        (("edit", "x", "--unset", "at"), 2, "--unset takes one of"),
        (("segments", "--save", "x"), 2, "--save goes with --where"),
        (("failures", "x", "--csv", "--json"), 2, "not both"),
        (("preview", "x", "1", "--text", "--html"), 2, "give one of"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(campaign: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = campaign(*arguments)
    assert ended.code == code, ended.err
    assert ended.err.count("\n") == (1 if code else 0)
    assert said in ended.err


def test_status_shows_campaigns_under_way_those_that_send_first(campaign: Command, on_database: Command) -> None:
    campaign(*CREATE, "--start")
    campaign("create", "later", "--template", "letter", "--at", "2030-12-01 09:00 UTC")
    campaign("create", "draft", "--template", "letter")

    shown = on_database("status", "--json").json["campaigns"]

    assert [(line["name"], line["status"], line["sent"]) for line in shown] == [
        ("july", "running", 0), ("later", "scheduled", 0),
    ]  # fmt: skip
    assert "Campaigns" in on_database("status").out
    assert "starts 2030-12-01" in on_database("status").out
