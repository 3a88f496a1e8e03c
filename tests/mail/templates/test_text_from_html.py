"""The text part of a template that has only HTML."""

from __future__ import annotations

import pytest

from mailworkers.errors import TemplateError
from mailworkers.mail.templates import compile_template
from tests.mail.templates.letters import ANN, NEWSLETTER, letter


def text_of(html: str, **data: object) -> str:
    """The text that a letter of this HTML has."""
    return letter(None, html).render(data).text_body or ""


def test_a_newsletter_reads_well_as_text() -> None:
    assert compile_template(NEWSLETTER).render(ANN).text_body == (
        "Good morning, Ann <Lee>\n\n"
        "Here is what happened this month near Żary. Ham & eggs, too.\n\n"
        "Twelve gardens (https://news.example/gardens?m=11&n=1)\n\n"
        "Žofie's notes\n\n"
        "The slow train (https://news.example/train)\n\n"
        "“One” dining car\n\n"
        "See what the paid plan adds (https://news.example/upgrade?lead=ann%40example.org)\n\n"
        "You signed up on 2026-01-02.\n"
        "Unsubscribe (https://news.example/leave?who=ann&t=1)\n"
    )


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb\n"),
        ("a<br>b<hr>c", "a\nb\n\n---\n\nc\n"),
        ("<ul><li>a</li><li>b</li></ul>", "* a\n* b\n"),
        ("<b>a</b> <i>b</i> <code>c_d*e</code>", "a b c_d*e\n"),
        ("<h1>a</h1><div>b</div>", "a\n\nb\n"),
        ("<a href='https://x.example'>https://x.example</a> <a>b</a> <a href='#top'>c</a>", "https://x.example b c\n"),
        ("<a href='u'><img src='x' alt='Our shop'></a><img src='pixel'>", "Our shop (u)\n"),
        ("<style>p {}</style><script>x</script><!-- c --><p style='display: none'>d</p>e", "e\n"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\n\nb\n"),
        ("&lt;b&gt; &amp;amp; &euro;", "<b> &amp; €\n"),
        ("{% raw %}{{ a }}{% endraw %}{# b #}{{ '{%' }}", "{{ a }}{%\n"),
        ("<p>{% if x %}a{% else %}b{% endif %}</p>", "b\n"),
        ("<p title='{{ x }}'>a</p>", "a\n"),
        ("<table>{% for r in [1, 2] %}<tr><td>{{ r }}</td></tr>{% endfor %}</table>", "1\n\n2\n"),
        ("{% macro b(u) %}<a href='{{ u }}'>Go</a>{% endmacro %}<p>{{ b('v') }}</p>", "Go (v)\n"),
        ("", "\n"),
    ],
)
def test_only_what_is_read_is_left(html: str, text: str) -> None:
    assert text_of(html, x=False) == text


def test_values_are_not_escaped_in_it() -> None:
    assert text_of("<p>{{ x }} {{ x|e }}</p>", x="A & <b>") == "A & <b> A & <b>\n"


@pytest.mark.parametrize(
    "html",
    [
        "<p {% if x %}>a</p>{% endif %}",
        "<style>{% if x %}</style>{% endif %}",
        "<div>" * 2000,
        "\ue0000\ue001",
        "<b>" * 40_000,
    ],
    ids=["a tag that a tag cuts", "half in what is not read", "deep", "private use", "long"],
)
def test_html_that_gives_no_text_asks_for_one(html: str) -> None:
    with pytest.raises(TemplateError, match=r"no text part can be made from its html: .*Give it a text of its own"):
        letter(None, html)


def test_a_text_of_ones_own_is_left_alone() -> None:
    assert letter("a\n\n\n\nb", "<p>c</p>").render({}).text_body == "a\n\n\n\nb"
