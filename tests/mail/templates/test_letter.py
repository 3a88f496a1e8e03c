"""What a template becomes with its data."""

from __future__ import annotations

import pytest

from mailworkers.errors import TemplateError
from mailworkers.mail.templates import Missing, compile_template
from tests.mail.templates.letters import ANN, NEWSLETTER, letter, render, render_html


def test_a_newsletter_has_all_its_parts() -> None:
    rendered = compile_template(NEWSLETTER).render(ANN)

    assert rendered.subject == "The letter for Ann <Lee> — November"
    assert rendered.html_body is not None
    assert "<title>The letter for Ann &lt;Lee&gt; — November</title>" in rendered.html_body
    assert 'href="https://news.example/gardens?m=11&amp;n=1"' in rendered.html_body
    assert rendered.text_body is not None
    assert "Good morning, Ann <Lee>" in rendered.text_body


def test_html_is_escaped_and_text_is_not() -> None:
    rendered = letter("{{ x }}", "<p>{{ x }}</p><a href='{{ x }}'>", "{{ x }}").render({"x": "<b>'\"&</b>"})

    assert rendered.subject == rendered.text_body == "<b>'\"&</b>"
    assert rendered.html_body == (
        "<p>&lt;b&gt;&#39;&#34;&amp;&lt;/b&gt;</p><a href='&lt;b&gt;&#39;&#34;&amp;&lt;/b&gt;'>"
    )


@pytest.mark.parametrize(
    ("character", "escaped"), [("<", "&lt;"), (">", "&gt;"), ("&", "&amp;"), ('"', "&#34;"), ("'", "&#39;")]
)
def test_each_character_of_html_is_escaped_by_itself(character: str, escaped: str) -> None:
    written = "{{ x }}{% set y %}{{ x }}{% endset %}{{ y }}{{ [x]|join }}{{ x ~ '' }}{{ {'x': x}.x }}"

    assert render_html(written, {"x": character}).html_body == escaped * 5


def test_html_that_the_application_vouches_for_stays() -> None:
    rendered = render_html("{{ x|safe }}", {"x": "<b>A &amp; B</b>"})

    assert (rendered.html_body, rendered.text_body) == ("<b>A &amp; B</b>", "A & B\n")


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@y.example", "a\nb", "a\rb", "tab\t", "\x00", "\x85", "\u2028", "\ud800"])
def test_a_subject_is_one_line_or_refused(bad: str) -> None:
    with pytest.raises(
        TemplateError, match='template "welcome@3", subject: it contains the control character U'
    ) as refused:
        letter("x", subject="Hi {{ name }}").render({"name": bad})
    assert "\n" not in str(refused.value)


def test_a_subject_has_at_most_1000_characters() -> None:
    made = letter("x", subject="{{ name }}")

    assert made.render({"name": "é" * 1000}).subject == "é" * 1000
    with pytest.raises(TemplateError, match="1,001 characters"):
        made.render({"name": "é" * 1001})


def test_a_subject_of_the_rows_own_stands_instead_of_the_templates() -> None:
    rendered = letter("{{ subject }}", subject="{{ nobody }}").render({}, subject="Mine")

    assert (rendered.subject, rendered.text_body) == ("Mine", "Mine")


def test_a_letter_may_have_no_html() -> None:
    assert letter("Hi").render({}).html_body is None


def test_a_letter_without_any_body_is_none() -> None:
    with pytest.raises(TemplateError, match="neither a text nor HTML"):
        letter(None, None)


# ---------------------------------------------------------------- what the data does not have


@pytest.mark.parametrize("used", ["{{ x }}", "{{ x.y.z }}", "{{ x|upper }}", "{{ x == 'a' }}", "{{ x ~ 'a' }}", "{{ x + 1 }}",
                                  "{% for i in x %}{% endfor %}", "{{ 'a' in x }}", "{{ d[x] }}", "{{ x|join }}", "{{ -x }}",
                                  "{{ [x]|join }}", "{{ 'a'|replace('a', x) }}", "{{ range(x) }}", "{{ x[1:] }}",
                                  "{{ [1]|sum(start=x) }}", "{{ x is odd }}", "{% set y = x %}{{ y }}"])  # fmt: skip
def test_a_missing_variable_is_an_error(used: str) -> None:
    with pytest.raises(TemplateError, match=r"missing|undefined"):
        render(used, {"d": {}})


def test_the_error_says_which_variable_where_and_what_to_do() -> None:
    with pytest.raises(TemplateError) as refused:
        render("Hi\n\n{{ name }},\n  how is {{ lead.city }}?", {"name": "Ann", "lead": {}})

    assert str(refused.value) == (
        'template "welcome@3", text line 4: the variable "city" is missing. Give it in data, write '
        "{{ city|default('…') }}, or save the template with --missing blank"
    )
    assert refused.value.excerpt.splitlines()[0] == "  how is {{ lead.city }}?"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("{% if x %}a{% else %}b{% endif %}", "b"),
        ("{% if x.y.z %}a{% else %}b{% endif %}", "b"),
        ("{% if x['y'].z %}a{% else %}b{% endif %}", "b"),
        ("{% if not x %}b{% endif %}", "b"),
        ("{{ 'a' if x else 'b' }}", "b"),
        ("{{ 'a' if x }}", ""),
        ("{% if here and x %}a{% else %}b{% endif %}", "b"),
        ("{% if x or here %}a{% endif %}", "a"),
        ("{{ x is defined }} {{ x is undefined }} {{ here is defined }}", "False True True"),
        ("{{ x|default('b') }}", "b"),
        ("{{ x.y|default('b') }}", "b"),
        ("{{ here.y|d('b') }}", "b"),
        ("{{ null|default('b') }}", "b"),
        ("{{ empty|default('b') }}|{{ empty|default('b', true) }}", "|b"),
        ("{{ x or 'b' }}", "b"),
        ("{% for i in x|default([]) %}a{% else %}b{% endfor %}", "b"),
    ],
)
def test_asking_for_a_missing_variable_is_none(asked: str, answer: str) -> None:
    assert render(asked, {"here": "a", "null": None, "empty": ""}) == answer


def test_null_is_never_written_out() -> None:
    with pytest.raises(TemplateError, match="a variable is null"):
        render("Hello {{ name }}", {"name": None})


@pytest.mark.parametrize(
    "used", ["{{ x }}", "{{ x.y.z }}", "{{ x|upper }}", "{% for i in x %}{{ i }}{% endfor %}", "{{ x|join(', ') }}", "{{ x ~ null }}",
             "{{ null }}", "{% for k, v in x.items() %}{{ k }}{% endfor %}"],
)  # fmt: skip
def test_blank_shows_nothing(used: str) -> None:
    assert render(f"a{used}b", {"null": None}, missing=Missing.BLANK) == "ab"


def test_blank_compares_as_an_empty_text() -> None:
    assert render("{{ x == '' }} {{ x == 'free' }}", missing=Missing.BLANK) == "True False"


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    "used", ["{{ items }}", "{{ d }}", "{{ items|string }}", "{{ items ~ '' }}", "{{ [items]|join }}"]
)
def test_a_list_or_an_object_is_not_written_as_python_writes_it(used: str) -> None:
    with pytest.raises(TemplateError, match=r"a list|an object"):
        render(used, {"items": [1], "d": {"a": 1}})


def test_data_may_have_fields_of_any_name() -> None:
    data = {
        "order": {"items": [1], "keys": 2, "values": 3, "get": 4, "__class__": 5, "größe": 6},
        "range": 7,
        "loop": 8,
    }

    assert render("{{ order.items|length }}{{ order.keys }}{{ order.values }}{{ order.get }}", data) == "1234"
    assert render("{{ order.größe }}{{ range }}{{ loop }}{{ order['__class__'] }}", data) == "6785"


def test_the_line_of_an_error_in_a_macro_is_that_of_the_macro() -> None:
    with pytest.raises(TemplateError, match="text line 2: "):
        render("{% macro a(x) %}\n{{ x.y }}{% endmacro %}\n\n{{ a({}) }}")


def test_the_same_letter_every_time() -> None:
    made = letter(None, "<p>{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}</p>", "{{ d|length }}")

    first, second = made.render({"d": {"b": 1, "a": 2}}), made.render({"d": {"a": 2, "b": 1}})

    assert first == second
    assert first.text_body == "a=2;b=1;\n"


def test_rendering_changes_no_data() -> None:
    data = {"items": [{"a": 1}], "x": 1}
    render(
        "{% set x = 2 %}{% for i in items|sort(attribute='a')|reverse %}{% set y = i %}{% endfor %}{{ items|list|length }}",
        data,
    )

    assert data == {"items": [{"a": 1}], "x": 1}
