"""docs/templates.md is true: its examples render to what stands below them, and its tables name what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mailworkers.mail.templates import TemplateSource, compile_template
from mailworkers.mail.templates.budget import MAX_RENDERED_CHARS, STEPS
from mailworkers.mail.templates.environment import LOOP_FIELDS
from mailworkers.mail.templates.filters import FILTERS, METHODS
from mailworkers.mail.templates.letter import MAX_SUBJECT_CHARS, MAX_TOKENS
from mailworkers.mail.templates.operators import MAX_RANGE
from mailworkers.mail.templates.source import MAX_SOURCE_CHARS
from mailworkers.mail.templates.tests import TESTS

PAGE = (Path(__file__).parents[1] / "docs" / "templates.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def examples() -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """Each template of the page, the data below it, and what it becomes: by the language of the block."""
    found: list[tuple[str, dict[str, Any], dict[str, str]]] = []
    for language, text in BLOCKS:
        match language:
            case "jinja":
                found.append((text, {}, {}))
            case "json":
                found[-1][1].update(json.loads(text))
            case "html" | "text":
                found[-1][2][language] = text
    return found


@pytest.mark.parametrize(("template", "data", "results"), examples())
def test_an_example_becomes_what_stands_below_it(template: str, data: dict[str, Any], results: dict[str, str]) -> None:
    html = "html" in results
    rendered = compile_template(
        TemplateSource("example", 1, "Hello", None if html else template, template if html else None)
    ).render(data)

    assert rendered.text_body == results["text"]
    assert rendered.html_body == results.get("html")


async def test_its_statements_are_ones_that_an_application_may_run(app_connection: Any) -> None:
    (statements,) = [text for language, text in BLOCKS if language == "sql"]

    await app_connection.execute(statements)


@pytest.mark.parametrize(
    ("row", "names"),
    [("filters", set(FILTERS)), ("tests", {*TESTS, "in"}), ("methods", set(METHODS))],
)
def test_a_row_names_all_that_there_is(row: str, names: set[str]) -> None:
    (cells,) = re.findall(rf"^\| {row} \| (.*) \|$", PAGE, re.MULTILINE)

    assert set(re.findall(r"`([a-z]+)`", cells)) == names


@pytest.mark.parametrize(
    "bound", [STEPS, MAX_RENDERED_CHARS, MAX_SUBJECT_CHARS, MAX_TOKENS, MAX_RANGE, MAX_SOURCE_CHARS]
)
def test_its_bounds_are_those_in_force(bound: int) -> None:
    assert f"{bound:,}" in PAGE


def test_all_fields_of_a_loop_are_named() -> None:
    (cells,) = re.findall(r"^\| in a loop \| (.*) \|$", PAGE, re.MULTILINE)

    assert {name.removeprefix("loop.") for name in re.findall(r"`([a-z0-9.]+)`", cells)} == LOOP_FIELDS
