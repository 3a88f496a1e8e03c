"""Short ways to a letter, and a newsletter as a campaign sends it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailworkers.errors import TemplateError
from mailworkers.mail.templates import Letter, Missing, Rendered, TemplateSource, compile_template

FOLDER = Path(__file__).parent
ANN: dict[str, Any] = {
    "name": "Ann <Lee>",
    "city": "Żary",
    "plan": "free",
    "email": "ann@example.org",
    "signed_up": "2026-01-02",
    "unsubscribe_url": "https://news.example/leave?who=ann&t=1",
    "items": [
        {"title": "Twelve gardens", "summary": "Žofie's notes", "url": "https://news.example/gardens?m=11&n=1"},
        {"title": "The slow train", "summary": "“One” dining car", "url": "https://news.example/train"},
    ],
}
NEWSLETTER = TemplateSource(
    "newsletter",
    1,
    "The letter for {{ name | default('you', true) }} — November",
    None,
    (FOLDER / "newsletter.html.jinja").read_text(encoding="utf-8"),
)


def letter(
    text: str | None = None, html: str | None = None, subject: str = "Hello", missing: Missing = Missing.ERROR
) -> Letter:
    """A compiled template from its parts."""
    return compile_template(TemplateSource("welcome", 3, subject, text, html, missing))


def render(text: str, data: Mapping[str, Any] | None = None, **more: Any) -> str:
    """The text part of a template that has nothing else."""
    body = letter(text, **more).render(data or {}).text_body
    assert body is not None
    return body


def outcome_of(made: Letter, data: Mapping[str, Any]) -> Rendered | TemplateError:
    """What became of it: nothing but a letter or a refusal can."""
    try:
        return made.render(data)
    except TemplateError as refused:
        return refused


def render_html(html: str, data: Mapping[str, Any] | None = None) -> Rendered:
    """A letter of HTML alone."""
    return letter(None, html).render(data or {})
