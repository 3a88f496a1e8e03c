"""The letter: rendered for each lead, quoted where HTML asks for it, with the traps that a mail's way has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from mailworkers.demo.leads import Lead
from mailworkers.demo.letter import FOLDER, LetterTemplate

ANN = Lead("ann@a.example", "Ann <b> & Co", "Łódź", "free", "2026-01-02")


def test_it_speaks_to_the_lead() -> None:
    letter = LetterTemplate().render(ANN)

    assert letter.subject.startswith("Ann <b> & Co:")
    assert "Łódź" in letter.text
    assert "ann@a.example joined us on 2026-01-02" in letter.text
    assert letter.unsubscribe_url in letter.text


def test_values_are_quoted_in_html_and_only_there() -> None:
    letter = LetterTemplate().render(ANN)

    assert "Ann &lt;b&gt; &amp; Co" in letter.html
    assert "Hello Ann <b> & Co," in letter.text


def test_a_lead_without_a_name_is_greeted_all_the_same() -> None:
    letter = LetterTemplate().render(Lead("bo@a.example"))

    assert letter.subject.startswith("Dear reader:")
    assert letter.text.startswith("Hello,\n\nthe wind was kind this month.\n")


def test_only_readers_of_the_free_plan_are_asked_to_join() -> None:
    template = LetterTemplate()

    assert "/join" in template.render(ANN).html
    assert "/join" not in template.render(Lead("bo@a.example", plan="crew")).html


def test_it_has_a_line_that_begins_with_a_dot_and_all_its_items() -> None:
    letter = LetterTemplate().render(ANN)

    assert any(line.startswith(".") for line in letter.text.splitlines())
    assert any(line.startswith(".") for line in letter.html.splitlines())
    assert letter.html.count("<h2>") == 3


def test_each_reader_leaves_by_a_link_of_their_own() -> None:
    template = LetterTemplate()

    assert template.render(ANN).unsubscribe_url != template.render(Lead("bo@a.example")).unsubscribe_url


def test_a_misspelt_variable_goes_out_to_nobody(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "letters")
    (folder / "letter.txt.jinja").write_text("Hello {{ nmae }}")

    with pytest.raises(UndefinedError):
        LetterTemplate(folder).render(ANN)
