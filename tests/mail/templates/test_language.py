"""What a template may say, and how a refusal reads."""

from __future__ import annotations

from typing import Any

import pytest

from mailworkers.errors import TemplateError
from tests.mail.templates.letters import letter, render

DATA: dict[str, Any] = {
    "name": "ann lee", "price": 19.9, "n": 7, "html": "<b>x</b>", "text": "one\ntwo",
    "items": [{"t": "b", "n": 2, "on": True}, {"t": "A", "n": 10, "on": False}, {"t": "c", "n": 1, "on": True}],
    "letters": ["b", "A", "c", "b"], "nested": {"b": {"c": 1}, "a": 2}, "null": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("{{ name|upper }} {{ name|title }} {{ name|capitalize }} {{ 'A'|lower }}", "ANN LEE Ann Lee Ann lee a"),
        ("{{ \"they're o'hara\"|title }}", "They're O'hara"),
        ("{{ name.upper() }} {{ name.split()[1] }} {{ name.startswith('ann') }} {{ name.endswith('x') }}", "ANN LEE lee True False"),
        ("{{ '  a '|trim }}|{{ ' b '.strip() }}|{{ 'xxa'|trim('x') }}", "a|b|a"),
        ("{{ name|replace('n', 'N') }} {{ name|replace('n', 'N', 1) }} {{ name.replace('a', '') }}", "aNN lee aNn lee nn lee"),
        ("{{ name|truncate(5) }}|{{ name|truncate(5, true) }}|{{ name|truncate(99) }}", "ann…|ann …|ann lee"),
        ("{{ text|indent(2) }}|{{ text|indent(2, true) }}", "one\n  two|  one\n  two"),
        ("{{ '%.2f €'|format(price) }} {{ '%05d %s %%'|format(n, name) }}", "19.90 € 00007 ann lee %"),
        ("{{ 'a b/ü'|urlencode }}", "a%20b/%C3%BC"),
        ("{{ price|round }} {{ price|round(1) }} {{ price|int }} {{ '3'|int + 1 }} {{ 'x'|int }} {{ '1.5'|float }}",
         "20.0 19.9 19 4 0 1.5"),
        ("{{ (-3)|abs }}", "3"),
        ("{{ letters|join(', ') }} {{ items|join('+', attribute='t') }}", "b, A, c, b b+A+c"),
        ("{{ letters|length }} {{ name|length }} {{ nested|count }}", "4 7 2"),
        ("{{ letters|first }}{{ letters|last }} {{ letters|reverse|join }} {{ name|reverse }}", "bb bcAb eel nna"),
        ("{{ letters|sort|join }} {{ letters|sort(case_sensitive=true)|join }} {{ letters|sort(reverse=true)|join }}", "Abbc Abbc cbbA"),
        ("{{ items|sort(attribute='n')|map(attribute='t')|join }} {{ letters|unique|join }}", "cbA bAc"),
        ("{{ items|selectattr('on')|map(attribute='t')|join }} {{ items|rejectattr('on')|map(attribute='t')|join }}", "bc A"),
        ("{{ items|selectattr('n', 'gt', 1)|map(attribute='t')|join }} {{ items|selectattr('t', 'in', 'Ab')|list|length }}", "bA 2"),
        ("{{ items|selectattr('t', 'equalto', 'c')|map(attribute='n')|sum }} {{ items|sum('n') }}", "1 13"),
        ("{{ letters|min }} {{ letters|max }} {{ (items|max('n')).t }}", "A c A"),
        ("{% for row in [1, 2, 3]|batch(2, 0) %}{{ row|join(',') }};{% endfor %}", "1,2;3,0;"),
        ("{% for k, v in nested.items() %}{{ k }}{% endfor %} {% for k, v in nested|dictsort %}{{ k }}{% endfor %}", "ba ab"),
        ("{{ nested.keys()|join }} {{ nested.get('a') }} {{ nested.get('x', 'y') }} {{ nested.b.c }} {{ nested['a'] }}", "ba 2 y 1 2"),
        ("{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ n % 4 }} {{ 'a' + 'b' }} {{ 'a' ~ 1 ~ 2.5 }}", "5.0 3 3 ab a12.5"),
        ("{{ 1 < n <= 7 }} {{ 'a' < 'b' }} {{ n != 7 }} {{ n >= 8 }} {{ null == none }} {{ items == [] }} {{ '' == [] }}",
         "True True False False True False False"),
        ("{{ 'b' in letters }} {{ 'nn' in name }} {{ 'a' not in nested }} {{ n in [1, 7] }} {{ 3 in range(4) }}", "True True False True True"),
        ("{{ n is odd }} {{ n is even }} {{ n is divisibleby(7) }} {{ null is none }} {{ name is string }} {{ n is in [7] }}",
         "True False True True True True"),
        ("{{ n is number }} {{ nested is mapping }} {{ letters is sequence }} {{ price is float }} {{ items is not iterable }}",
         "True True True True False"),
        ("{{ letters[1:3]|join }} {{ name[:3] }} {{ letters[-1] }} {{ name[0] }}", "Ac ann b a"),
        ("{% for i in range(2, 8, 3) %}{{ i }}{{ loop.index }}{{ loop.cycle('x', 'y') }}{% if not loop.last %},{% endif %}{% endfor %}", "21x,52y"),
        ("{% for i in items if i.on %}{{ i.t }}{{ loop.length }}{% endfor %}", "b2c2"),
        ("{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{{ loop.previtem[0] if not loop.first }}{% endfor %}", "12341"),
        ("{% macro button(url, words='Go') %}[{{ words }}]({{ url }}){% endmacro %}{{ button('u') }}{{ button('v', words='Hi') }}", "[Go](u)[Hi](v)"),
        ("{% set a = 1 %}{% set b %}x{{ a }}{% endset %}{% set c = b|upper %}{{ b }}{{ c }}", "x1X1"),
        ("{% with a = 2 %}{{ a }}{% endwith %}{# nothing #}{% raw %}{{ a }}{% endraw %}", "2{{ a }}"),
        ("{% if n > 9 %}a{% elif n > 5 %}b{% else %}c{% endif %}", "b"),
        ("{{ true }} {{ {'a': 1}.a }} {{ (1, 2)|join }} {{ {'a': 1}|length }}", "True 1 12 1"),
        ("{{ html|escape }}{{ html|safe }}", "<b>x</b>x"),
    ],
)  # fmt: skip
def test_what_letters_need_works(written: str, shown: str) -> None:
    assert render(written, DATA) == shown


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{% include 'a' %}", "{% include %} is not allowed"),
        ("{% import 'a' as b %}", "{% import %} is not allowed"),
        ("{% from 'a' import b %}", "{% from … import %} is not allowed"),
        ("{% extends 'a' %}", "{% extends %} is not allowed"),
        ("{% block a %}{% endblock %}", "{% block %} is not allowed"),
        ("{% filter upper %}{% endfilter %}", "{% filter %} is not allowed"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "{% autoescape %} is not allowed"),
        ("{% macro a() %}{% endmacro %}{% call a() %}{% endcall %}", "{% call %} is not allowed"),
        ("{% for a in b recursive %}{{ loop(a) }}{% endfor %}", "a recursive loop is not allowed"),
        ("{% macro a() %}{{ a() }}{% endmacro %}", "'a' is no macro that is defined above this line"),
        ("{{ 2 ** 9 }}", "** is not allowed. What a template may use is in docs/templates.md"),
        ("{{ ''.__class__.__mro__ }}", "'__mro__' is not allowed"),
        ("{{ x._private }}", "'_private' is not allowed"),
        ("{{ x|attr('__class__') }}", "there is no filter 'attr'"),
        ("{{ x|map('upper')|random }}", "there is no filter 'random'"),
        ("{{ x|tojson }}", "there is no filter 'tojson'"),
        ("{{ x is callable }}", "there is no test 'callable'"),
        ("{{ '{0.__class__}'.format(x) }}", "the method 'format' is not known"),
        ("{{ x.append(1) }}", "the method 'append' is not known"),
        ("{{ cycler('a') }}", "'cycler' is no macro"),
        ("{{ lipsum() }}", "'lipsum' is no macro"),
        ("{{ namespace(a=1) }}", "'namespace' is no macro"),
        ("{% set n.a = 1 %}", "namespace is not allowed"),
        ("{{ dict(a=1) }}", "'dict' is no macro"),
        ("{{ self }}", "the name 'self' is not allowed"),
        ("{{ super() }}", "'super' is no macro"),
        ("{{ range(*x) }}", "* and ** are not allowed"),
        ("{{ x|default(**y) }}", "* and ** are not allowed"),
        ("{{ range() }}", "range() needs an argument"),
        ("{{ x|upper(1) }}", "'upper' cannot be used so: too many positional arguments"),
        ("{{ x|replace('a') }}", "'replace' cannot be used so: missing a required argument: 'new'"),
        ("{{ x|int(base=8) }}", "'int' cannot be used so: got an unexpected keyword argument 'base'"),
        ("{{ x.get() }}", "'get' cannot be used so: missing a required argument: 'key'"),
        ("{{ x is divisibleby }}", "'divisibleby' cannot be used so: missing a required argument: 'by'"),
        ("{{ x is none(1) }}", "'none' cannot be used so: too many positional arguments"),
        ("{{ (x)() }}", "'x' is no macro"),
        ("{{ x[0]() }}", "only macros of this template can be called"),
        ("{{ {x: 1} }}", "the keys of an object must be written out"),
        ("{{ x.__init__.__globals__ }}", "is not allowed"),
        ("{% for i in x %}" * 7 + "{% endfor %}" * 7, "nested too deeply"),
        ("{{ " + "(" * 60 + "1" + ",)" * 60 + " }}", "nested too deeply"),
        ("{{ " + "[" * 5000 + " }}", ""),
        ("{{ " + "-" * 5000 + "1 }}", "it cannot be read"),
        ("{{ " + "9" * 5000 + " }}", "it cannot be read"),
        ("{{ 1e400 }}", "a number is too large"),
        ("{{ a }}" * 3000, "it has more than 10,000 words"),
        ("a" * 300_000, "at most 262,144 fit"),
    ],
)  # fmt: skip
def test_what_a_template_may_not_say_is_refused_when_it_is_saved(written: str, why: str) -> None:
    with pytest.raises(TemplateError) as refused:
        letter(written)
    assert why in str(refused.value)
    assert 'template "welcome@3", text' in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "line", "excerpt"),
    [
        ("Hi\n{% if a %}{% endif %}\n{{ name|uper }}", 3, "{{ name|uper }}\n        ^"),
        ("Hi\n{% fi a %}", 2, "{% fi a %}\n   ^"),
        ("Hi\n  {{ a b }}", 2, "  {{ a b }}\n       ^"),
        ("Hi {% if a %}", 1, "Hi {% if a %}\n      ^"),
        ("a\n\n{% include 'x' %}", 3, "{% include 'x' %}\n^"),
    ],
)
def test_a_mistake_is_shown_with_its_line_and_place(written: str, line: int, excerpt: str) -> None:
    with pytest.raises(TemplateError) as refused:
        letter(written)
    assert f"text line {line}: " in str(refused.value)
    assert refused.value.excerpt.splitlines()[0] == excerpt.splitlines()[0]
    assert refused.value.excerpt == excerpt


@pytest.mark.parametrize("written", ["{{ 1 / 0 }}", "{{ 'a' < 1 }}", "{{ 'a' - 1 }}", "{{ [1] + [2] }}", "{{ n() }}", "{% for a, b in [[1]] %}{% endfor %}",
                                     "{{ 'abc'|round }}", "{% macro m() %}{% endmacro %}{{ m }}", "{% for n in [1] %}{{ loop }}{% endfor %}", "{{ 'a'|replace(context=1) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", "{{ n|sort }}", "{{ n|join }}", "{{ n.upper().x }}", "{{ items|sort }}",
                                     "{{ '%d'|format('x') }}", "{{ '%s %s'|format(1) }}", "{{ 'a'|batch(0) }}", "{{ 'a'|truncate(0) }}",
                                     "{{ range(1, 2, 0) }}", "{{ range(1.5) }}", "{{ 'a'.split('') }}", "{{ 'a' * 3 }}", "{{ 'a' % 3 }}",
                                     "{{ items == items }}", "{{ {} in letters }}", "{{ items[items] }}", "{{ 'a'|map }}",
                                     "{{ items|selectattr('n', 'matches', 1) }}", "{{ 'a'|indent(1000) }}", "{{ n|items }}",
                                     "{{ ['a', 1]|sort }}", "{{ 'a'|unknown_argument(x=1) }}", "{{ 'a'|upper(1) }}"])  # fmt: skip
def test_what_goes_wrong_with_the_data_says_where(written: str) -> None:
    with pytest.raises(TemplateError, match='template "welcome@3", text line 1: ') as refused:
        render(written, DATA)
    assert "\n" not in str(refused.value)
