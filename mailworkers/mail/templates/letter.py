"""A template, compiled once, and its letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import islice
from types import MappingProxyType
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes

from mailworkers.errors import ComposeError, TemplateError
from mailworkers.frozen import frozen
from mailworkers.mail.headers import check_one_line
from mailworkers.mail.templates.budget import MAX_RENDERED_CHARS, STEPS, BudgetedContext, Variables
from mailworkers.mail.templates.complaints import complaint, line_of, unclosed
from mailworkers.mail.templates.empty_lines import without_empty_lines
from mailworkers.mail.templates.environment import LetterEnvironment, environment
from mailworkers.mail.templates.folding import OWN, folded
from mailworkers.mail.templates.language import Refused, tamed
from mailworkers.mail.templates.source import MAX_SOURCE_CHARS, TemplateSource

MAX_SUBJECT_CHARS = 1000  # as a row's own
MAX_TOKENS = (
    10_000  # of a part, blanks between them counted; a long newsletter has 2,000, and compiling takes 40 µs each
)
MOST_PIECES = 500  # worked out once; a millisecond or less each. A long newsletter has fifty
NOTHING: Mapping[str, Any] = MappingProxyType({})
FAULTS = (
    UndefinedError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)  # of values in a template


@frozen
class Rendered:
    """What goes into the mail. At least one of the bodies is not None; pieces are what a body was joined of, or empty."""

    subject: str
    text_body: str | None
    html_body: str | None
    text_pieces: Sequence[str] = field(default=(), compare=False)
    html_pieces: Sequence[str] = field(default=(), compare=False)


class _Part:
    """The subject or a body. `common` are variables whose values are known for all mails."""

    def __init__(self, source: TemplateSource, name: str, text: str, common: Mapping[str, Any] = NOTHING) -> None:
        self.where = f'template "{source}", {name}'
        self._text = text
        self._environment = environment(html=name == "html", missing=source.missing)
        self._template = self._compiled(self._environment, common)
        self._root = self._template.root_render_func

    def render(self, variables: Variables, left: int) -> tuple[str, list[str], int]:
        """The text, the pieces of which it is joined, and the steps that are left.

        Raises:
            TemplateError: with its place.
        """
        context = BudgetedContext(self._environment, variables, left)
        try:
            pieces = list(self._root(context))
            return _joined(pieces), pieces, context.left
        except TemplateError as bad:
            raise self._placed(bad, bad.message, bad.hint) from None
        except RecursionError:
            raise complaint(self.where, 0, "its macros call each other without end") from None
        except FAULTS as bad:
            raise self._placed(bad, f"{type(bad).__name__}: {bad}") from None

    def _placed(self, bad: Exception, message: str, hint: str = "") -> TemplateError:
        return complaint(self.where, line_of(self._template, bad.__traceback__), message, hint, self._text)

    def _compiled(self, jinja: LetterEnvironment, common: Mapping[str, Any]) -> Template:
        try:
            _check_size(self._text, jinja)
            tree = tamed(jinja._parse(self._text, None, None))  # noqa: SLF001 -- parse() would rewrite the traceback
            if common:
                tree = folded(tree, frozenset(common), _Pieces(jinja, self.where, common).rendered, jinja)
            return Template.from_code(jinja, jinja.compile(tree, None, self.where), {})
        except Refused as bad:
            raise complaint(self.where, bad.line, bad.message, bad.hint, self._text, bad.near) from None
        except TemplateSyntaxError as bad:
            if line := unclosed(self._text):
                raise complaint(self.where, line, "a }} is missing", "Close the expression", self._text, "{{") from None
            raise complaint(self.where, bad.lineno, bad.message or "it is no template", "", self._text) from None
        except (RecursionError, SyntaxError, ValueError) as bad:
            raise complaint(self.where, 0, f"it cannot be read: {bad}") from None


class _Pieces:
    """Renders pieces of a tree with what all mails have in common. Together they may take what one mail may take.

    Args:
        jinja: of the part.
        where: the part, for messages.
        common: the variables.
    """

    def __init__(self, jinja: LetterEnvironment, where: str, common: Mapping[str, Any]) -> None:
        self._jinja = jinja
        self._where = where
        self._common = Variables(common)
        self._steps = STEPS
        self._pieces = MOST_PIECES

    def rendered(self, piece: nodes.Template) -> str | None:
        """What a piece becomes by itself; None where it fails, which each mail then does in its own words, and where it is too much."""
        if self._steps <= 0 or self._pieces <= 0:
            return None
        self._pieces -= 1
        piece.set_environment(self._jinja)
        template = Template.from_code(self._jinja, self._jinja.compile(piece, None, self._where), {})
        context = BudgetedContext(self._jinja, self._common, self._steps)
        try:
            return _joined(template.root_render_func(context))
        except (TemplateError, RecursionError, *FAULTS):
            return None
        finally:
            self._steps = context.left


def _joined(pieces: Iterable[str]) -> str:
    """Together they are no longer than what the budget paid for, half as much again as is allowed."""
    text = "".join(pieces)
    if len(text) > MAX_RENDERED_CHARS:
        raise TemplateError(f"it becomes longer than {MAX_RENDERED_CHARS:,} characters", "Shorten its data")
    return text


def _check_size(text: str, jinja: LetterEnvironment) -> None:
    if len(text) > MAX_SOURCE_CHARS:
        raise Refused(0, f"it has {len(text):,} characters, at most {MAX_SOURCE_CHARS:,} fit")
    if next(islice(jinja.lexer.tokeniter(text, None), MAX_TOKENS, None), None) is not None:
        raise Refused(0, f"it has more than {MAX_TOKENS:,} words between braces", "Let data hold the lists")


class _Parts:
    """The three compiled together."""

    def __init__(self, source: TemplateSource, common: Mapping[str, Any] = NOTHING) -> None:
        self.subject = _Part(source, "subject", source.subject, common)
        self.html = _Part(source, "html", source.html_body, common) if source.html_body is not None else None
        self.text = _text_part(source, common)


class Letter:
    """One compiled version, for any number of mails.

    Args:
        source: what was stored.
        common: variables that all its mails have, each below its own of that name. What depends on nothing else is worked out here,
            once, which takes as long as to compile the letter.
        parts: of the same version, where it was compiled before.

    Raises:
        TemplateError: it is no template, or uses what is not allowed. With the line, and an excerpt that points at it.
    """

    def __init__(
        self, source: TemplateSource, common: Mapping[str, Any] = NOTHING, parts: _Parts | None = None
    ) -> None:
        self.source = source
        self._made_from_html = source.text_body is None
        self._common = common
        self._shared = frozenset(common) - OWN
        self._parts = parts or _Parts(source)
        self._folded = _Parts(source, common) if self._shared else self._parts

    def with_common(self, variables: Mapping[str, Any]) -> Letter:
        """The same letter for mails that have these variables in common."""
        return Letter(self.source, variables, self._parts)

    def render(self, data: Mapping[str, Any], *, subject: str | None = None) -> Rendered:
        """The letter for one recipient.

        Args:
            data: its variables, as `json.loads` gives them. In the bodies, `subject` is the mail's own.
            subject: instead of the template's.

        Raises:
            TemplateError: one line that names the template, its part and line, the reason and what to do.
        """
        parts = self._folded if self._shared.isdisjoint(data) else self._parts
        variables = Variables(self._common)
        variables.update(data)
        left = STEPS
        if subject is None:
            subject, _, left = parts.subject.render(variables, left)
            self._check_subject(subject)
        variables["subject"] = subject
        html = text = None
        html_pieces: Sequence[str] = ()
        text_pieces: Sequence[str] = ()
        if parts.html is not None:
            html, html_pieces, left = parts.html.render(variables, left)
        if parts.text is not None:
            text, text_pieces, left = parts.text.render(variables, left)
            if self._made_from_html:
                text, text_pieces = without_empty_lines(text), ()
        return Rendered(subject, text, html, text_pieces, html_pieces)

    def _check_subject(self, subject: str) -> None:
        """A line end in a name could begin another header: it is refused, not mended, so that somebody sees it."""
        if len(subject) > MAX_SUBJECT_CHARS:
            raise TemplateError(
                f"{self._parts.subject.where}: it has {len(subject):,} characters, at most {MAX_SUBJECT_CHARS:,} fit",
                "Shorten it with |truncate",
            )
        try:
            check_one_line(subject, "it")
        except ComposeError as bad:
            raise TemplateError(f"{self._parts.subject.where}: {bad}") from None


def _text_part(source: TemplateSource, common: Mapping[str, Any]) -> _Part | None:
    if source.text_body is not None:
        return _Part(source, "text", source.text_body, common)
    if source.html_body is None:
        raise TemplateError(f'template "{source}" has neither a text nor HTML')
    # It takes a sixth of a second to import, which commands without a template need not wait for.
    from mailworkers.mail.templates.text_from_html import HtmlRefused, text_source  # noqa: PLC0415

    try:
        made = text_source(source.html_body, environment(html=True, missing=source.missing).lexer)
        return _Part(source, "text made from the html", made, common)
    except (HtmlRefused, TemplateError) as bad:
        raise TemplateError(
            f'template "{source}": no text part can be made from its html: {bad}', "Give it a text of its own"
        ) from None


def compile_template(source: TemplateSource) -> Letter:
    """Compile one version. It takes some milliseconds: keep what comes back. Raises as `Letter`."""
    return Letter(source)
