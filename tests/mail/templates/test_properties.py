"""Whatever JSON holds: it never begins a header, and never becomes a tag."""

from __future__ import annotations

import contextlib
import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mailworkers.errors import TemplateError
from mailworkers.mail.templates import Letter, Missing, Rendered, TemplateSource, compile_template
from tests.mail.templates.letters import NEWSLETTER, letter, outcome_of

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
ATTACKS = (
    "Ann\r\nBcc: eve@firm.example", "a\nb", "a\rb", "\x00", "\x85", "\u2028", "\ud800", "\u202eAnn", "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>", "' onload='x", "{{ 1 + 1 }}", "{% for %}", "%s%n", "{0.__class__}", "é" * 40, "אב", "",
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(ATTACKS)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
names = st.sampled_from(["name", "city", "plan", "email", "signed_up", "unsubscribe_url", "items"]) | texts
letters_data = st.dictionaries(names, json, max_size=8)
items = st.fixed_dictionaries({"title": texts, "summary": texts, "url": texts})
whole_data = st.fixed_dictionaries(
    {"name": texts, "city": texts, "plan": texts, "email": texts, "signed_up": texts, "unsubscribe_url": texts,
     "items": st.lists(items, min_size=1, max_size=3)}
)  # fmt: skip

STRICT = compile_template(NEWSLETTER)
BLANK = compile_template(TemplateSource("newsletter", 2, NEWSLETTER.subject, None, NEWSLETTER.html_body, Missing.BLANK))
EVERYTHING = letter(
    "{% for k, v in a.items() %}{{ k }}{{ v|string|upper|trim|truncate(9) }}{% endfor %}{{ b|sort|join(c) }}{{ c|int + 1 }}",
    "<p>{{ a|length }}{{ b|first|default('x') }}{{ c|urlencode }}{{ (a.x.y ~ c)|replace(c, d) }}</p>",
    "{{ c }}{{ d if d is string }}",
)


class Tags(HTMLParser):
    """The tags and the names of attributes of an HTML text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))


def rendered_or_refused(made: Letter, data: dict[str, Any]) -> Rendered | None:
    """Nothing but a refusal in one line may come of any data."""
    outcome = outcome_of(made, data)
    if isinstance(outcome, Rendered):
        return outcome
    assert not CONTROL.search(str(outcome))
    return None


@given(letters_data)
@example({"name": "Ann\r\nBcc: eve@firm.example"})
def test_any_data_gives_a_letter_or_one_line(data: dict[str, Any]) -> None:
    for made in (STRICT, BLANK):
        if rendered := rendered_or_refused(made, data):
            assert not CONTROL.search(rendered.subject)


@given(st.fixed_dictionaries({"a": json, "b": json, "c": json, "d": json}))
def test_any_data_through_many_filters_gives_a_letter_or_one_line(data: dict[str, Any]) -> None:
    if rendered := rendered_or_refused(EVERYTHING, data):
        assert not CONTROL.search(rendered.subject)


@given(whole_data)
@example(dict.fromkeys(("city", "plan", "email", "signed_up", "unsubscribe_url"), ATTACKS[0]) | {"name": "", "items": [
    {"title": ATTACKS[8], "summary": ATTACKS[9], "url": ATTACKS[10]}]})  # fmt: skip
def test_no_data_becomes_a_tag_or_an_attribute(data: dict[str, Any]) -> None:
    """Given texts for all variables, when the letter is rendered, then its HTML has the tags that harmless texts give."""
    rendered = rendered_or_refused(STRICT, data)
    if rendered is None:
        return
    harmless = {name: "x" if value else "" for name, value in data.items() if name != "items"}
    plain = {**harmless, "plan": data["plan"], "items": [dict.fromkeys(item, "x") for item in data["items"]]}

    assert Tags(rendered.html_body or "").seen == Tags(STRICT.render(plain).html_body or "").seen


@given(st.text(max_size=60) | st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "a", "|", "for", " in ", "'", "(", ")", "if", "end", "~", "<", ">", "\n"]), max_size=20).map("".join))  # fmt: skip
def test_any_source_compiles_or_is_refused(source: str) -> None:
    for parts in ((source, source, source), (None, source, "Hello")):
        with contextlib.suppress(TemplateError):
            letter(*parts)
