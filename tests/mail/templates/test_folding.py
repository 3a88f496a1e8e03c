"""What all mails of a campaign have in common is worked out once, and says what it would have said in each."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from mailworkers.errors import TemplateError
from mailworkers.mail.templates import Missing, TemplateSource, compile_template
from mailworkers.mail.templates.environment import environment
from mailworkers.mail.templates.folding import folded
from mailworkers.mail.templates.language import tamed

COMMON: dict[str, Any] = {
    "shop": "Ann & Söhne",
    "items": [{"title": "Tea <green>", "price": 4.5}, {"title": "Milk", "price": 1}],
    "sale": True,
    "nothing": [],
    "name": "reader",
    "subject": "not this one",
}
TEMPLATES = [
    "{{ shop }}: {{ name }}",
    "{% for item in items %}{{ loop.index }}. {{ item.title }} {{ '%.2f'|format(item.price) }}\n{% endfor %}",
    "{% for item in items %}{{ item.title }} for {{ name }}{% if loop.last %}.{% else %}, {% endif %}{% endfor %}",
    "{% for who in friends %}{% if loop.first %}{% for item in items %}{{ item.title }}{% endfor %}{% endif %}{{ who }}{% endfor %}",
    "{% for item in items %}{% for again in items %}{{ loop.index }}{% endfor %}{{ loop.index }}{% else %}-{% endfor %}",
    "{% for who in friends %}{% for item in nothing %}{{ item }}{% else %}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% if sale %}Sale at {{ shop }}!{% elif name %}{{ name }}{% else %}no{% endif %}",
    "{% if name %}{{ shop }}{% elif sale %}{{ items|length }}{% endif %}",
    "{% set shop = name %}{{ shop }} {% for item in items %}{{ shop }}{% endfor %}",
    "{% for shop in friends %}{{ shop }}{% endfor %}{{ shop }}",
    "{% for item in items %}{% set shop = item.title %}{{ shop }}{% endfor %}{{ shop }}",
    "{% if sale %}{% set shop = 'inner' %}{% endif %}{{ shop }}",
    "{% with shop = name %}{{ shop }} {{ items|length }}{% endwith %}{{ shop }}",
    "{% macro shown(item) %}{{ item.title }} at {{ shop }}{% endmacro %}{% for item in items %}{{ shown(item) }}{% endfor %}",
    "{{ subject }} {{ to_name|default('?') }} {{ shop ~ '!' }} {{ items[0].title if sale else name }}",
    "{{ missing_one|default(shop) }}{% if missing_one %}{{ shop }}{% endif %}{{ items|map(attribute='title')|join(', ') }}",
]
OWN = st.fixed_dictionaries(
    {"friends": st.lists(st.sampled_from(["Bo", "Çem", "<b>"]), max_size=3)},
    optional={
        "name": st.sampled_from(["Ann", "", "O'Hara & <Co>"]),
        "shop": st.just("my own"),
        "items": st.just([{"title": "mine", "price": 2}]),
        "sale": st.booleans(),
        "to_name": st.just("Ann"),
    },
)


def source(text: str, missing: Missing = Missing.ERROR) -> TemplateSource:
    return TemplateSource("letter", 1, "Hello {{ shop }}", text, f"<p>{text}</p>", missing)


@pytest.mark.parametrize("text", TEMPLATES)
@given(own=OWN)
def test_each_mail_says_what_it_would_have_said(text: str, own: dict[str, Any]) -> None:
    letter = compile_template(source(text))

    with_common = letter.with_common(COMMON)

    assert with_common.render(own) == letter.render({**COMMON, **own})


@pytest.mark.parametrize(
    "text",
    [
        "{{ nobody }}",
        "{% for item in items %}{{ item.absent }}{% endfor %}",
        "{{ items + 1 }}",
        "{{ shop.x.y }}{{ 1 / 0 }}",
    ],
)
def test_what_fails_fails_in_each_mail_with_the_same_words(text: str) -> None:
    letter = compile_template(source(text))

    with pytest.raises(TemplateError) as alone:
        letter.render(COMMON)
    with pytest.raises(TemplateError) as together:
        letter.with_common(COMMON).render({})

    assert str(together.value) == str(alone.value)


def test_a_missing_variable_that_is_blank_stays_blank() -> None:
    letter = compile_template(
        source("{{ shop }}{{ nobody }}{% for item in items %}{{ item.x }}{% endfor %}", Missing.BLANK)
    )

    assert letter.with_common(COMMON).render({}) == letter.render(COMMON)


def body_of(text: str, common: frozenset[str]) -> list[nodes.Node]:
    jinja = environment(html=True, missing=Missing.ERROR)
    return folded(tamed(jinja.parse(text)), common, lambda _piece: "folded", jinja).body


def test_what_depends_on_nothing_else_is_one_text() -> None:
    text = "<p>{% for item in items %}{{ item.title }} at {{ shop }}{% endfor %}</p>{{ name }}{% if name %}{{ shop }}{% endif %}"
    (line, condition) = body_of(text, frozenset({"items", "shop"}))

    assert isinstance(line, nodes.Output)
    assert [type(node) for node in line.nodes] == [nodes.TemplateData] * 3 + [nodes.Name]
    assert isinstance(condition, nodes.If)
    (within,) = condition.body
    assert isinstance(within, nodes.Output)
    assert [type(node) for node in within.nodes] == [nodes.TemplateData]


def test_a_thousand_articles_cost_a_mail_no_steps() -> None:
    # given more articles than the budget of one mail has steps for, had it to pay for each of its parts
    articles = [{"title": f"Article {number}"} for number in range(9_000)]
    letter = compile_template(source("{{ name }}{% for a in articles %}{{ a.title }}{% endfor %}"))

    folded_once = letter.with_common({"articles": articles})

    # then many mails can be made of it, and each has its own name
    assert [folded_once.render({"name": name, "shop": "x"}).text_body[:3] for name in ("Ann", "Bob")] == ["Ann", "Bob"]  # type: ignore[index]


def test_what_is_worked_out_once_has_one_budget_for_all_its_pieces() -> None:
    """A hundred loops, each nearly all that one mail may take: some are worked out, the rest is left to the mails, which refuse."""
    loop = "{% for a in long %}{% for b in long %}{{ b }}{% endfor %}{% endfor %}"
    letter = compile_template(source(loop * 100 + "{{ name }}"))

    began = time.process_time()
    together = letter.with_common({"long": [1] * 150})

    assert time.process_time() - began < 5
    with pytest.raises(TemplateError, match="more than 100,000 steps"):
        together.render({"name": "Ann", "shop": "x"})
