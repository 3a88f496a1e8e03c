"""`mailworkers templates save · list · show · render`"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.files import read_object, read_text, write_bytes
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, facts, print_json, span, table
from mailworkers.errors import TemplateError
from mailworkers.mail.message import Address
from mailworkers.mail.templates import Missing, Rendered, TemplateSource, compile_template, preview
from mailworkers.queue import templates
from mailworkers.queue.templates import Reference, TemplateLine
from mailworkers.settings import Settings

NOBODY = "reader@example.org"  # RFC 2606: a preview that is sent by mistake reaches nobody

app = typer.Typer(help="Save templates and look at what they become.", no_args_is_help=True, rich_markup_mode="rich")

Name = Annotated[str, typer.Argument(help="The template: letters, digits, dots, hyphens and underscores.")]
NameAndVersion = Annotated[str, typer.Argument(help="The template; name@3 is its version 3.", metavar="NAME[@VERSION]")]
Workspace = Annotated[str, typer.Option("--workspace", help="Whose template it is.")]
AnyWorkspace = Annotated[str | None, typer.Option("--workspace", help="Only this workspace's.")]
Subject = Annotated[str, typer.Option("--subject", help="One line; a template, too.")]
Html = Annotated[Path | None, typer.Option("--html", help="A file with the HTML; - reads it from standard input.")]
Text = Annotated[
    Path | None, typer.Option("--text", help="A file with the text; without one it is made from the HTML.")
]
MissingOption = Annotated[Missing, typer.Option("--missing", help="What becomes of variables that data does not have.")]
Data = Annotated[Path | None, typer.Option("--data", help="A file with a JSON object; - reads it from standard input.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the whole mail to this .eml file.")]
ToOption = Annotated[str, typer.Option("--to", help="The recipient, in the preview.")]
Limit = Annotated[int, typer.Option("--limit", help="At most so many.", min=1, max=10_000)]


@app.command("save")
@with_settings()
def save(  # noqa: PLR0913 -- a command's options are its arguments
    settings: Settings,
    *,
    name: Name,
    subject: Subject,
    html: Html = None,
    text: Text = None,
    workspace: Workspace = "default",
    missing: MissingOption = Missing.ERROR,
    as_json: Json = False,
) -> None:
    """Save the next version of a template, if it is a good one and something has changed.

    Jobs that name it without a version use the new one within a second. Versions never change: those that name one keep it.

    [dim]$[/dim] mailworkers templates save welcome --subject 'Welcome, {{ name }}' --html welcome.html
    [dim]$[/dim] mailworkers templates save welcome --subject Welcome --html welcome.html --text welcome.txt --missing blank
    """
    if html is None and text is None:
        raise typer.BadParameter("give the letter's body: --html FILE, --text FILE or both")
    source = TemplateSource(name, 0, subject, _read(text), _read(html), missing)
    try:
        version = run_async(_save(settings, workspace, source), settings)
    except TemplateError as bad:
        if bad.excerpt:
            print(bad.excerpt, file=sys.stderr)  # noqa: T201 -- what the line below it is about
        raise
    if as_json:
        print_json({"workspace": workspace, "name": name, "version": version})
    else:
        console().print(f"Template {name}@{version} is saved in workspace {workspace}.", markup=False)


@app.command("list")
@with_settings()
def list_(settings: Settings, *, workspace: AnyWorkspace = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List templates, each at its newest version.

    [dim]$[/dim] mailworkers templates list --workspace default
    """
    lines = run_async(_list(settings, workspace, limit), settings)
    if as_json:
        print_json(lines)
    elif lines:
        console().print(
            table(("workspace", "name", "version#", "parts", "missing", "saved", "subject"), [*map(_row, lines)])
        )
    else:
        console().print("No templates.")


@app.command("show")
@with_settings()
def show(settings: Settings, *, name: NameAndVersion, workspace: Workspace = "default", as_json: Json = False) -> None:
    """Show a template as it was saved.

    [dim]$[/dim] mailworkers templates show welcome@3
    """
    source = run_async(_find(settings, workspace, name), settings)
    if as_json:
        print_json(source)
        return
    out = console()
    out.print(facts({"template": str(source), "missing": source.missing, "subject": escape(source.subject)}))
    for part in (source.text_body or "(the text is made from the HTML)", source.html_body):
        if part is not None:
            out.print()
            out.print(part, markup=False, soft_wrap=True)


@app.command("render")
@with_settings("from_email", "from_name")
def render(
    settings: Settings,
    *,
    name: NameAndVersion,
    data: Data = None,
    out: Out = None,
    to: ToOption = NOBODY,
    workspace: Workspace = "default",
    as_json: Json = False,
) -> None:
    """Render a template with data, and send nothing: on the screen, or as a file that a mail client opens.

    [dim]$[/dim] mailworkers templates render welcome --data ann.json --out welcome.eml
    [dim]$[/dim] echo '{"name": "Ann"}' | mailworkers templates render welcome@3 --data -
    """
    given = {} if data is None else read_object(data)
    source = run_async(_find(settings, workspace, name), settings)
    rendered = compile_template(source).render({"to_email": to, "to_name": None, **given})
    if out is not None:
        sender = Address(settings.sender_email, settings.from_name)
        write_bytes(out, preview(rendered, sender, Address(to), datetime.now(UTC)))
    if as_json:
        print_json({"subject": rendered.subject, "text_body": rendered.text_body, "html_body": rendered.html_body})
    elif out is not None:
        console().print(f"Template {source} is written to {out}.", markup=False)
    else:
        _print(rendered)


async def _save(settings: Settings, workspace: str, source: TemplateSource) -> int:
    async with opened(settings) as database:
        return await templates.save(database, workspace, source)


async def _list(settings: Settings, workspace: str | None, limit: int) -> list[TemplateLine]:
    async with opened(settings, READONLY) as database:
        return await templates.list_templates(database.claims, workspace, limit)


async def _find(settings: Settings, workspace: str, name: str) -> TemplateSource:
    async with opened(settings, READONLY) as database:
        return await templates.find(database.claims, workspace, Reference.parse(name))


def _read(path: Path | None) -> str | None:
    return None if path is None else read_text(path)


def _row(line: TemplateLine) -> tuple[str, ...]:
    parts = " + ".join(part for part, there in (("text", line.has_text), ("html", line.has_html)) if there)
    age = (datetime.now(UTC) - line.created_at).total_seconds()
    return (
        escape(line.workspace), line.name, str(line.version), parts, line.missing, f"{span(max(0.0, age))} ago",
        escape(line.subject),
    )  # fmt: skip


def _print(rendered: Rendered) -> None:
    out = console()
    out.print(facts({"subject": escape(rendered.subject)}))
    for part in (rendered.text_body, rendered.html_body):
        if part is not None:
            out.print()
            out.print(part, markup=False, soft_wrap=True)
