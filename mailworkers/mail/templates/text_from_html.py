"""The text part of a template that has none: made from the source of its HTML, once, with the template's tags kept.

markdownify reads the HTML; what makes Markdown of it is left out, since a text mail is read as it is. Each tag of the
template becomes a mark that no HTML knows, and is put back where the mark comes out. So the text part costs each mail
what any other text part costs, not the milliseconds that reading HTML takes.
"""

from __future__ import annotations

import re

from bs4 import BeautifulSoup, Tag
from jinja2.lexer import Lexer
from markdownify import MarkdownConverter

from mailworkers.mail.templates.empty_lines import without_empty_lines

MARKS = ("\ue000", "\ue001", "\ue002")  # of Unicode's private use: a source that holds them is refused
MOST_READING = 1_000_000_000  # "<" times characters: html.parser may look through all that follows for each one's end
INVISIBLE = ("head", "title", "style", "script", "template", "noscript")
CELLS = ("table", "thead", "tbody", "tfoot", "tr", "td", "th")  # in letters tables lay out, so their cells are blocks
_MARK = re.compile("\ue000([0-9]+)\ue001")
_LINE_END = re.compile(" *\ue002 *\n?")
_BRACES = re.compile(r"\{[{%#]")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)  # preheaders and Outlook's own parts


class HtmlRefused(Exception):
    """No text can be made of it."""


def text_source(html: str, lexer: Lexer) -> str:
    """The source of the text part.

    Args:
        html: the source of the HTML part.
        lexer: of the environment that the HTML compiles in.

    Raises:
        HtmlRefused: one line that says why.
    """
    if any(mark in html for mark in MARKS):
        raise HtmlRefused("it holds a character of Unicode's private use")
    marked, tags = _marked(html, lexer)
    try:
        soup = BeautifulSoup(marked, "html.parser")
        for element in soup.find_all(_is_unseen):
            element.decompose()
        for cell in soup.find_all(CELLS):
            cell.name = "div"
        text = _Plain(
            escape_asterisks=False, escape_underscores=False, escape_misc=False, autolinks=False, bullets="*"
        ).convert_soup(soup)
    except (RecursionError, ValueError, AssertionError) as bad:
        raise HtmlRefused(f"it cannot be read ({type(bad).__name__})") from None
    text = _LINE_END.sub("\n", text)
    text = "\n".join(line.strip(" ") for line in text.split("\n"))
    return _MARK.sub(lambda found: tags[int(found[1])], _escaped(without_empty_lines(text)))


def _marked(html: str, lexer: Lexer) -> tuple[str, list[str]]:
    """The HTML with a numbered mark for each tag of the template, and the tags. Comments are dropped."""
    pieces: list[str] = []
    tags: list[str] = []
    tag: list[str] = []
    for _, token, value in lexer.tokeniter(html, None):
        if token == "data":  # noqa: S105 -- a kind of token
            pieces.append(value)
        elif token.startswith(("comment", "raw")):
            continue
        else:
            tag.append(value)
            if token in ("variable_end", "block_end"):
                pieces.append(f"{MARKS[0]}{len(tags)}{MARKS[1]}")
                tags.append("".join(tag))
                tag.clear()
    marked = "".join(pieces)
    if marked.count("<") * len(marked) > MOST_READING:
        raise HtmlRefused("it has too many elements")
    return f"<div>{marked}</div>", tags


def _is_unseen(element: Tag) -> bool:
    return element.name in INVISIBLE or bool(_HIDDEN.search(str(element.get("style", ""))))


def _escaped(text: str) -> str:
    """Braces that are text stay text."""
    return _BRACES.sub(lambda found: f"{{{{ '{found[0]}' }}}}", text)


class _Plain(MarkdownConverter):
    """Text for people: no markup, links behind their words. Only blocks keep their lines."""

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """The words and the address; one of them where they are the same."""
        address = str(el.get("href") or "")
        words = text.strip()
        if not words or words == address:
            return address
        return f"{words} ({address})" if address and not address.startswith("#") else text

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """What stands for the picture."""
        return str(el.get("alt") or "")

    def convert_br(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """A line end, which the source's own behind it does not double."""
        return MARKS[2]

    def convert_hr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """A line, as typewriters had it."""
        return "\n\n---\n\n"

    def convert_hN(self, n: int, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: N802 -- the library's name
        """A paragraph of its own."""
        return f"\n\n{text.strip()}\n\n"

    def _as_it_is(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return text

    convert_b = convert_strong = convert_em = convert_i = convert_del = convert_s = convert_code = convert_kbd = (
        _as_it_is
    )
    convert_samp = convert_sub = convert_sup = convert_pre = _as_it_is
