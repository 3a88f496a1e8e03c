"""The demo's letter: one template in three parts, rendered for each lead."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined, Template

from mailworkers.demo.leads import Lead

FOLDER = Path(__file__).parent
UNSUBSCRIBE = "https://notes.example/leave/{token}?who={who}"
TOKEN_CHARS = 20  # 80 bits: nobody unsubscribes a stranger by guessing


@dataclass(frozen=True, slots=True)
class Letter:
    """What one lead gets: header texts and the two bodies."""

    subject: str
    text: str
    html: str
    unsubscribe_url: str


class LetterTemplate:
    """Renders the letter. Undefined variables raise, so that a typing error in a template cannot go out to people."""

    def __init__(self, folder: Path = FOLDER) -> None:
        content: dict[str, Any] = json.loads((folder / "letter.json").read_text(encoding="utf-8"))
        self.sender_email: str = content["sender"]["email"]
        self.sender_name: str = content["sender"]["name"]
        self._items = content["items"]
        self._subject = _environment(None, escape=False).from_string(content["subject"])
        self._text = _part(folder, "letter.txt.jinja", escape=False)
        self._html = _part(folder, "letter.html.jinja", escape=True)

    def render(self, lead: Lead) -> Letter:
        """The letter for one lead. Jinja2 does all the quoting in HTML."""
        token = hashlib.sha256(lead.key.encode()).hexdigest()[:TOKEN_CHARS]
        values: dict[str, Any] = {
            "email": lead.email,
            "name": lead.name,
            "city": lead.city,
            "plan": lead.plan,
            "signed_up": lead.signed_up,
            "items": self._items,
            "unsubscribe_url": UNSUBSCRIBE.format(token=token, who=quote(lead.email)),
        }
        values["subject"] = self._subject.render(values)
        return Letter(
            values["subject"], self._text.render(values), self._html.render(values), values["unsubscribe_url"]
        )


def _environment(loader: BaseLoader | None, *, escape: bool) -> Environment:
    return Environment(
        loader=loader,
        autoescape=escape,  # noqa: S701 -- the subject and the plain text must not be escaped as HTML is
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )


def _part(folder: Path, name: str, *, escape: bool) -> Template:
    return _environment(FileSystemLoader(folder), escape=escape).get_template(name)
