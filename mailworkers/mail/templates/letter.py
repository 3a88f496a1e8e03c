"""A template, compiled once, and its letters."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError

from mailworkers.errors import ComposeError, TemplateError
from mailworkers.frozen import frozen
from mailworkers.mail.headers import check_one_line
from mailworkers.mail.templates.budget import MAX_RENDERED_CHARS, STEPS, BudgetedContext, Variables
from mailworkers.mail.templates.complaints import complaint, line_of
from mailworkers.mail.templates.empty_lines import without_empty_lines
from mailworkers.mail.templates.environment import LetterEnvironment, environment
from mailworkers.mail.templates.language import Refused, tamed
from mailworkers.mail.templates.source import MAX_SOURCE_CHARS, TemplateSource

MAX_SUBJECT_CHARS = 1000  # as a row's own
MAX_TOKENS = (
    10_000  # of a part, blanks between them counted; a long newsletter has 2,000, and compiling takes 40 µs each
)


@frozen
class Rendered:
    """What goes into the mail. At least one of the bodies is not None."""

    subject: str
    text_body: str | None
    html_body: str | None


class _Part:
    """The subject or a body."""

    def __init__(self, source: TemplateSource, name: str, text: str) -> None:
        self.where = f'template "{source}", {name}'
        self._text = text
        self._environment = environment(html=name == "html", missing=source.missing)
        self._template = self._compiled(self._environment)
        self._root = self._template.root_render_func

    def render(self, variables: Variables, left: int) -> tuple[str, int]:
        """The text, and the steps that are left.

        Raises:
            TemplateError: with its place.
        """
        context = BudgetedContext(self._environment, variables, left)
        try:
            return _joined(self._root(context)), context.left
        except TemplateError as bad:
            raise self._placed(bad, bad.message, bad.hint) from None
        except RecursionError:
            raise complaint(self.where, 0, "its macros call each other without end") from None
        except (UndefinedError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as bad:
            raise self._placed(bad, f"{type(bad).__name__}: {bad}") from None

    def _placed(self, bad: Exception, message: str, hint: str = "") -> TemplateError:
        return complaint(self.where, line_of(self._template, bad.__traceback__), message, hint, self._text)

    def _compiled(self, jinja: LetterEnvironment) -> Template:
        try:
            _check_size(self._text, jinja)
            tree = tamed(jinja._parse(self._text, None, None))  # noqa: SLF001 -- parse() would rewrite the traceback
            return Template.from_code(jinja, jinja.compile(tree, None, self.where), {})
        except Refused as bad:
            raise complaint(self.where, bad.line, bad.message, bad.hint, self._text, bad.near) from None
        except TemplateSyntaxError as bad:
            raise complaint(self.where, bad.lineno, bad.message or "it is no template", "", self._text) from None
        except (RecursionError, SyntaxError, ValueError) as bad:
            raise complaint(self.where, 0, f"it cannot be read: {bad}") from None


def _joined(pieces: Iterable[str]) -> str:
    """Counted as they come, so that no text is built that is too long."""
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_RENDERED_CHARS:
            raise TemplateError(f"it becomes longer than {MAX_RENDERED_CHARS:,} characters", "Shorten its data")
        kept.append(piece)
    return "".join(kept)


def _check_size(text: str, jinja: LetterEnvironment) -> None:
    if len(text) > MAX_SOURCE_CHARS:
        raise Refused(0, f"it has {len(text):,} characters, at most {MAX_SOURCE_CHARS:,} fit")
    if next(islice(jinja.lexer.tokeniter(text, None), MAX_TOKENS, None), None) is not None:
        raise Refused(0, f"it has more than {MAX_TOKENS:,} words between braces", "Let data hold the lists")


class Letter:
    """One compiled version, for any number of mails. `common` are variables that all of them see, below their own.

    Args:
        source: what was stored.

    Raises:
        TemplateError: it is no template, or uses what is not allowed. With the line, and an excerpt that points at it.
    """

    def __init__(self, source: TemplateSource) -> None:
        self.source = source
        self.common: Mapping[str, Any] = {}
        self._subject = _Part(source, "subject", source.subject)
        self._html = _Part(source, "html", source.html_body) if source.html_body is not None else None
        self._made_from_html = source.text_body is None
        self._text = self._text_part(source)

    def with_common(self, variables: Mapping[str, Any]) -> Letter:
        """The same letter, compiled once for both, whose mails see these variables where they have none of that name."""
        other = copy.copy(self)
        other.common = variables
        return other

    def render(self, data: Mapping[str, Any], *, subject: str | None = None) -> Rendered:
        """The letter for one recipient.

        Args:
            data: its variables, as `json.loads` gives them. In the bodies, `subject` is the mail's own.
            subject: instead of the template's.

        Raises:
            TemplateError: one line that names the template, its part and line, the reason and what to do.
        """
        variables = Variables(data)
        left = STEPS
        if subject is None:
            subject, left = self._subject.render(variables, left)
            self._check_subject(subject)
        variables["subject"] = subject
        html = text = None
        if self._html is not None:
            html, left = self._html.render(variables, left)
        if self._text is not None:
            text, left = self._text.render(variables, left)
            if self._made_from_html:
                text = without_empty_lines(text)
        return Rendered(subject, text, html)

    def _check_subject(self, subject: str) -> None:
        """A line end in a name could begin another header: it is refused, not mended, so that somebody sees it."""
        if len(subject) > MAX_SUBJECT_CHARS:
            raise TemplateError(
                f"{self._subject.where}: it has {len(subject):,} characters, at most {MAX_SUBJECT_CHARS:,} fit",
                "Shorten it with |truncate",
            )
        try:
            check_one_line(subject, "it")
        except ComposeError as bad:
            raise TemplateError(f"{self._subject.where}: {bad}") from None

    def _text_part(self, source: TemplateSource) -> _Part | None:
        if source.text_body is not None:
            return _Part(source, "text", source.text_body)
        if source.html_body is None:
            raise TemplateError(f'template "{source}" has neither a text nor HTML')
        # It takes a sixth of a second to import, which commands without a template need not wait for.
        from mailworkers.mail.templates.text_from_html import HtmlRefused, text_source  # noqa: PLC0415

        try:
            made = text_source(source.html_body, environment(html=True, missing=source.missing).lexer)
            return _Part(source, "text made from the html", made)
        except (HtmlRefused, TemplateError) as bad:
            raise TemplateError(
                f'template "{source}": no text part can be made from its html: {bad}', "Give it a text of its own"
            ) from None


def compile_template(source: TemplateSource) -> Letter:
    """Compile one version. It takes some milliseconds: keep what comes back. Raises as `Letter`."""
    return Letter(source)
