"""The command line as a whole: which commands there are, in the order in which a person meets them."""

from __future__ import annotations

from typing import Annotated

import typer

from mailworkers.cli import (
    bench,
    campaign,
    capture,
    demo,
    destinations,
    doctor,
    jobs,
    leads,
    limits,
    migrate,
    run,
    send,
    status,
    templates,
    top,
    url,
    version,
    warmup,
    workspaces,
)
from mailworkers.cli.help import flowing, without_flag_types

app = typer.Typer(
    name="mailworkers",
    help=(
        "Rows become mails: insert a row into PostgreSQL, and a daemon sends it.\n\n"
        "[dim]New here?[/dim]  mailworkers demo\n\n"
        "With no database given (DATABASE_URL or --database-url), every command uses a private PostgreSQL that "
        "mailworkers starts by itself and stops with its last user."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    *,
    version_only: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=version.print_and_end)
    ] = False,
) -> None:
    """Nothing but `--version` belongs to no command."""


SENDING, WATCHING, CARING = "Sending", "Watching", "Taking care"

app.command("demo", rich_help_panel=SENDING, help=flowing(demo.demo))(demo.demo)
app.command("capture", rich_help_panel=SENDING, help=flowing(capture.capture))(capture.capture)
app.command("run", rich_help_panel=SENDING)(run.run)
app.command("send", rich_help_panel=SENDING)(send.send)
app.add_typer(leads.app, name="leads", rich_help_panel=SENDING)
app.add_typer(templates.app, name="templates", rich_help_panel=SENDING)
app.add_typer(campaign.app, name="campaign", rich_help_panel=SENDING)
app.add_typer(warmup.app, name="warmup", rich_help_panel=SENDING)
app.command("status", rich_help_panel=WATCHING)(status.status)
app.command("top", rich_help_panel=WATCHING)(top.top)
app.add_typer(jobs.app, name="jobs", rich_help_panel=WATCHING)
app.command("bench", rich_help_panel=CARING)(bench.bench)
app.add_typer(limits.app, name="limits", rich_help_panel=CARING)
app.add_typer(destinations.app, name="destinations", rich_help_panel=CARING)
app.add_typer(workspaces.app, name="workspaces", rich_help_panel=CARING)
app.command("doctor", rich_help_panel=CARING)(doctor.doctor)
app.command("migrate", rich_help_panel=CARING)(migrate.migrate)
app.command("url", rich_help_panel=CARING)(url.url)
app.command("version", rich_help_panel=CARING, help=flowing(version.version))(version.version)

without_flag_types(app)
