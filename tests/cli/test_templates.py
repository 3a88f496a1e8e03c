"""`mailworkers templates`: saving, looking, rendering."""

from __future__ import annotations

import io
import json
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Sql

HTML = "<p>Hi {{ name }}</p>\n"


@pytest.fixture
def html(tmp_path: Path) -> str:
    path = tmp_path / "welcome.html"
    path.write_text(HTML)
    return str(path)


@pytest.fixture
def welcome(on_database: Command, html: str) -> Command:
    """A command line with a template on its database."""
    assert on_database("templates", "save", "welcome", "--subject", "Welcome, {{ name }}", "--html", html).code == 0
    return on_database


def test_saving_says_which_version_it_is(on_database: Command, html: str, sql: Sql) -> None:
    save = ("templates", "save", "welcome", "--html", html, "--workspace", "shop", "--subject")

    assert on_database(*save, "Hello").out == "Template welcome@1 is saved in workspace shop.\n"
    assert on_database(*save, "Hello").out == "Template welcome@1 is saved in workspace shop.\n"
    assert on_database(*save, "Hello again", "--missing", "blank", "--json").json == {
        "workspace": "shop", "name": "welcome", "version": 2,
    }  # fmt: skip
    assert sql("SELECT missing FROM mailworkers.templates WHERE version = 2") == "blank"
    assert sql("SELECT html_body FROM mailworkers.templates WHERE version = 2") == HTML


def test_a_mistake_is_pointed_at(on_database: Command, tmp_path: Path, sql: Sql) -> None:
    text = tmp_path / "welcome.txt"
    text.write_text("Hi,\n\nyou are {{ name|uper }}!\n")

    ended = on_database("templates", "save", "welcome", "--subject", "Hello", "--text", str(text))

    assert ended.code == 65
    *excerpt, line = ended.err.splitlines()
    assert excerpt == ["you are {{ name|uper }}!", "                ^"]
    assert line.startswith("mailworkers: template \"welcome\", text line 3: there is no filter 'uper'. Perhaps upper ")
    assert sql("SELECT count(*) FROM mailworkers.templates") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("save", "a b", "--subject", "x", "--html", "{html}"), 65, "its name may have 1 to 100 letters"),
        (("save", "a", "--subject", "x"), 2, "--html FILE, --text FILE or both"),
        (("save", "a", "--subject", "x", "--html", "{html}.no"), 65, "No such file"),
        (("save", "a", "--subject", "x", "--text", "{bytes}"), 65, "is not UTF-8 at octet 3"),
        (("save", "a", "--subject", "x", "--html", "{html}", "--missing", "maybe"), 2, "--missing"),
        (("show", "nobody"), 65, 'template "nobody" does not exist in workspace "default"'),
        (("show", "welcome@9"), 65, 'template "welcome@9" does not exist'),
        (("show", "welcome@x"), 65, "has no version behind its @"),
        (("render", "welcome"), 65, 'the variable "name" is missing'),
        (("render", "welcome", "--data", "{html}"), 65, "is no JSON"),
        (("render", "welcome", "--data", "{list}"), 65, "holds no JSON object"),
        (("render", "welcome", "--data", "{ann}", "--out", "/nowhere/at/all.eml"), 65, "cannot write"),
        (("render", "welcome", "--data", "{ann}", "--out", "{html}", "--to", "nobody"), 65, "one address with one @"),
    ],
)
def test_what_cannot_be_done_says_why(
    welcome: Command, tmp_path: Path, html: str, arguments: tuple[str, ...], code: int, why: str
) -> None:
    files = {"html": html, "list": tmp_path / "l.json", "ann": tmp_path / "a.json", "bytes": tmp_path / "b.txt"}
    (tmp_path / "l.json").write_text("[]")
    (tmp_path / "a.json").write_text('{"name": "Ann"}')
    (tmp_path / "b.txt").write_bytes(b"ab\xff")

    ended = welcome("templates", *(argument.format(**files) for argument in arguments))

    assert ended.code == code
    assert why in ended.err
    assert "Traceback" not in ended.err


def test_templates_are_listed_and_shown(welcome: Command) -> None:
    (line,) = welcome("templates", "list", "--json").json
    assert (line["workspace"], line["name"], line["version"], line["subject"]) == (
        "default",
        "welcome",
        1,
        "Welcome, {{ name }}",
    )
    assert (line["has_text"], line["has_html"], line["missing"]) == (False, True, "error")
    assert "Welcome, {{ name }}" in welcome("templates", "list").out
    assert welcome("templates", "list", "--workspace", "other").out == "No templates.\n"

    shown = welcome("templates", "show", "welcome@1").out
    assert "welcome@1" in shown
    assert HTML in shown
    assert welcome("templates", "show", "welcome", "--json").json["html_body"] == HTML


def test_a_rendered_template_is_a_mail_that_opens(welcome: Command, tmp_path: Path) -> None:
    """Given data, when it is rendered into a file, then any reader finds subject, addresses, date and both bodies."""
    data, out = tmp_path / "ann.json", tmp_path / "welcome.eml"
    data.write_text(json.dumps({"name": "Ann <Žofie>"}))

    ended = welcome("templates", "render", "welcome", "--data", str(data), "--out", str(out), "--to", "ann@example.org",
                    "--from-email", "shop@example.org", "--from-name", "The Shop")  # fmt: skip

    assert ended.out == f"Template welcome@1 is written to {out}.\n"
    mail = message_from_bytes(out.read_bytes(), policy=default)
    assert not mail.defects
    assert (mail["Subject"], mail["To"], mail["From"]) == (
        "Welcome, Ann <Žofie>",
        "ann@example.org",
        "The Shop <shop@example.org>",
    )
    assert mail["Message-ID"]
    assert mail["Date"].datetime.tzinfo is not None
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert text.get_content().strip() == "Hi Ann <Žofie>"
    assert html is not None
    assert html.get_content().strip() == "<p>Hi Ann &lt;Žofie&gt;</p>"


def test_data_comes_from_standard_input_too(welcome: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"name": "Ann"}'))

    rendered = welcome("templates", "render", "welcome", "--data", "-", "--json").json

    assert rendered == {"subject": "Welcome, Ann", "text_body": "Hi Ann\n", "html_body": "<p>Hi Ann</p>\n"}


def test_without_a_file_it_is_shown(welcome: Command, tmp_path: Path) -> None:
    data = tmp_path / "ann.json"
    data.write_text('{"name": "[bold]Ann[/bold]"}')

    shown = welcome("templates", "render", "welcome", "--data", str(data)).out

    assert "Welcome, [bold]Ann[/bold]" in shown
    assert "<p>Hi [bold]Ann[/bold]</p>" in shown
