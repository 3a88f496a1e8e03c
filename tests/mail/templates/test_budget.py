"""Hostile templates and data: each ends by itself, soon, at the same point on every machine, in one line."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mailworkers.errors import TemplateError
from mailworkers.mail.templates.budget import MAX_RENDERED_CHARS, STEPS
from tests.mail.templates.letters import letter, outcome_of, render

MEGABYTE = 1024 * 1024  # as much as the column `data` takes
# Far above the 60 ms that the worst takes on a current machine, and far below what any of them takes unbounded.
MOST_SECONDS = 1.0


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(900):
        nested = [nested]
    return nested


HOSTILE: dict[str, Any] = {
    "big": "x" * MEGABYTE,
    "lt": "<" * MEGABYTE,
    "lines": "\n" * MEGABYTE,
    "percents": "%" * MEGABYTE,
    "words": "a-" * (MEGABYTE // 2),
    "comments": "<!-- " * (MEGABYTE // 5),
    "dots": "a." * 1000 + "a",
    "number": 10**4299,
    "float": 1e308,
    "deep": _deep(),
    "numbers": list(range(100_000)),
    "texts": ["x" * 1000] * 1000,
    "objects": [{"a": number, "b": str(number)} for number in range(30_000)],
    "keys": {str(number): number for number in range(50_000)},
}
TWICE = "{% set s = [1] %}" + "{% set s = [s, s] %}" * 40
MACROS = "{% macro m0() %}x{% endmacro %}" + "".join(
    f"{{% macro m{n} () %}}{{{{ m{n - 1}() }}}}{{{{ m{n - 1}() }}}}{{% endmacro %}}" for n in range(1, 30)
)


def often(body: str) -> str:
    """A body that a loop repeats 10,000 times."""
    return "{% for i in range(10000) %}" + body + "{% endfor %}"


@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
@pytest.mark.parametrize(
    "hostile",
    [
        often(often("x")), often(often("")), "{% for c in big %}{% endfor %}", often("{% for n in numbers %}{% endfor %}"),
        "{% set s = big %}" + "{% set s = s ~ s %}" * 40, "{% set s = big %}" + "{% set s = s + s %}" * 40,
        "{% set s %}{{ lt }}{{ lt }}{% endset %}{% set s %}{{ s }}{{ s }}{% endset %}{% set s %}{{ s }}{{ s }}{% endset %}",
        TWICE + "{{ s == s }}", TWICE + "{{ s|join }}", TWICE + "{{ s in [s] }}", TWICE.replace("[", "(").replace("]", ")") + "{{ keys[s] }}",
        "{{ 'a' * 1000000000 }}", "{{ [1] * 1000000000 }}", "{% set n = 2 %}" + "{% set n = n * n %}" * 40,
        "{{ '%999999999d' % 1 }}", "{{ '%999999999d'|format(1) }}", "{{ '%*d'|format(999999999, 1) }}", "{{ percents|format(1) }}",
        "{{ '%.999999999f'|format(1) }}", "{{ range(1000000000)|list }}", "{{ range(10000)|join(big) }}", "{{ numbers|join(big) }}",
        "{{ lines|indent(100) }}", "{{ big|replace('x', big) }}", "{{ big|replace('', big) }}", "{{ big|indent(999999999) }}",
        often("{% set x = big|upper %}"), often("{% set x = words|title %}"), often("{% set x = big[1:] %}"),
        often("{% set x %}{{ lt }}{% endset %}"), often("{% set x = lt|e %}"), often("{% set x = comments|safe %}"),
        often("{{ 'y' in big }}"), often("{{ big == big ~ '' }}"), often("{{ big in texts }}"), often("{{ number }}"),
        often("{{ '%.20f'|format(float) }}" * 9), often("{% set x = texts|sort %}"), often("{% set x = objects|sort(attribute='b') %}"),
        often("{% set x = objects|map(attribute=dots) %}"), often("{% set x = objects|selectattr('b', 'in', texts) %}"),
        often("{% set x = keys|dictsort %}"), often("{% set x = numbers|unique|sum %}"), often("{% set x = words.split('-') %}"),
        often("{{ big|urlencode }}"), often("{{ big.startswith(big) }}"), MACROS + "{{ m29() }}",
        "{% macro b(x) %}{% endmacro %}{% macro a(b) %}{{ b(b) }}{% endmacro %}{{ a(a) }}",
        "{{ deep }}", "{{ deep|join }}", "{{ deep == deep }}", "{{ lt }}{{ lt }}{{ lt }}", often("y" * 20),
        "{% for a in numbers %}{% for b in numbers %}{% for c in numbers %}{{ a }}{% endfor %}{% endfor %}{% endfor %}",
    ],
)  # fmt: skip
def test_a_hostile_template_is_refused_soon(hostile: str, html: bool) -> None:
    began = time.process_time()

    made = letter("x", hostile) if html else letter(hostile)
    outcome = outcome_of(made, HOSTILE)
    if isinstance(outcome, TemplateError):
        assert "\n" not in str(outcome)
        assert 'template "welcome@3", ' in str(outcome)
    else:
        assert len(outcome.html_body or outcome.text_body or "") <= MAX_RENDERED_CHARS

    assert time.process_time() - began < MOST_SECONDS


def test_a_loop_is_refused_before_its_first_turn() -> None:
    """Given a loop that costs more than there is, when it is rendered, then nothing of it was done."""
    with pytest.raises(TemplateError, match=f"it takes more than {STEPS:,} steps for one mail"):
        render("{% for n in numbers %}{{ n.nothing.there }}{{ 1 / 0 }}{% endfor %}", HOSTILE)


@pytest.mark.parametrize(
    ("costly", "why"),
    [
        ("{{ words|title }}", "steps"),
        ("{{ big|urlencode }}", "steps"),
        ("{{ objects|map(attribute=dots) }}", "steps"),
        ("{{ words.split('-') }}", "steps"),
        ("{{ range(10001) }}", "range counts further than 10,000 items"),
        ("{{ range(0, -999999999, -1) }}", "range counts further than 10,000 items"),
        ("{{ number + 1 }}", "a number of more than 256 bits"),
    ],
)
def test_what_goes_piece_by_piece_is_paid_piece_by_piece(costly: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        render(costly, HOSTILE)


def test_what_is_rendered_has_a_bound() -> None:
    with pytest.raises(TemplateError, match="it becomes longer than 2,097,152 characters"):
        render("{{ big }}{{ big }}{{ big }}", HOSTILE)


def test_all_parts_of_a_mail_draw_on_the_same_budget() -> None:
    most = "{% for n in range(10000) %}{{ n }}{{ n }}{{ n }}{% endfor %}"
    assert letter(most).render({})

    with pytest.raises(TemplateError, match="steps"):
        letter(most, most).render({})


def test_each_mail_has_a_budget_of_its_own() -> None:
    made = letter("{% for n in range(10000) %}{{ n }}{{ n }}{{ n }}{% endfor %}")

    assert made.render({}) == made.render({})


def test_a_long_letter_stays_within_the_budget() -> None:
    items = [{"title": "A title", "text": "word " * 400, "url": "https://news.example/"} for _ in range(300)]
    each = "{% for item in items %}<h2><a href='{{ item.url }}'>{{ item.title|upper }}</a></h2><p>{{ item.text }}</p>{% endfor %}"

    assert len(letter(None, each).render({"items": items}).html_body or "") > 600_000
