"""`mailworkers destinations list · show · set · unset`"""

from __future__ import annotations

import re
from typing import Annotated

import typer
from rich.markup import escape

from mailworkers.cli.database import READONLY, opened
from mailworkers.cli.loop import run_async
from mailworkers.cli.options import Json, with_settings
from mailworkers.cli.output import console, facts, print_json, table
from mailworkers.destinations import table as destinations
from mailworkers.destinations.lookup import domain_of
from mailworkers.destinations.suffixes import EVERYTHING_ELSE
from mailworkers.destinations.table import DomainLine, GroupLine, UnknownGroup
from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import ascii_domain
from mailworkers.settings import Settings

OTHERS = "others"  # how people call the group without a name
_GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_FOUND = {
    "shipped": "shipped with the program",
    "set": "set by hand",
    "mx": "learned from its MX records",
    None: "not in the table",
}

app = typer.Typer(
    help="See and set which mailbox provider's limits a domain falls under.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Domain = Annotated[str, typer.Argument(help="A domain, or an address of it.")]
Group = Annotated[str, typer.Argument(help=f"A group's name; `{OTHERS}` for the group of everything else.")]
New = Annotated[bool, typer.Option("--new", help="Make the group, where there is none of that name.")]


@app.command("list")
@with_settings()
def list_(settings: Settings, *, as_json: Json = False) -> None:
    """List the destination groups: how many domains each has, and the limits that the provider publishes.

    [dim]$[/dim] mailworkers destinations list
    """
    lines = run_async(_list(settings), settings)
    if as_json:
        print_json(lines)
        return
    columns = ("group", "provider", "domains#", "connections#", "rate#", "source")
    console().print(table(columns, [_row(line) for line in lines]))


@app.command("show")
@with_settings()
def show(settings: Settings, *, domain: Domain, as_json: Json = False) -> None:
    """Show which group a domain's mails are in, and why.

    [dim]$[/dim] mailworkers destinations show ann@example.org
    """
    line = run_async(_show(settings, _checked(domain)), settings)
    if as_json:
        print_json(line)
        return
    known = {"domain": line.domain, "group": line.destination_group or OTHERS, "because it is": _FOUND[line.found]}
    if line.found == "mx":
        known["looked at"] = f"{line.checked_at:%Y-%m-%d %H:%M} UTC"
    if line.shipped not in (None, line.destination_group):
        known["shipped as"] = str(line.shipped)
    console().print(facts(known))


@app.command("set")
@with_settings()
def set_(settings: Settings, *, domain: Domain, group: Group, new: New = False, as_json: Json = False) -> None:
    """Put a domain into a group, for mails that are inserted from now on.

    [dim]$[/dim] mailworkers destinations set firm.example google
    [dim]$[/dim] mailworkers destinations set firm.example our-server --new
    """
    name = EVERYTHING_ELSE if group == OTHERS else group
    if name and not _GROUP_NAME.fullmatch(name):
        raise UnknownGroup(
            "a group's name must be 1 to 60 lower case letters, digits and hyphens", "Write it as in our-server"
        )
    line = run_async(_set(settings, _checked(domain), name, new=new), settings)
    _tell(line, as_json=as_json)


@app.command("unset")
@with_settings()
def unset(settings: Settings, *, domain: Domain, as_json: Json = False) -> None:
    """Take back what was set for a domain, or learned about it; what is shipped holds again.

    [dim]$[/dim] mailworkers destinations unset firm.example
    """
    _tell(run_async(_unset(settings, _checked(domain)), settings), as_json=as_json)


async def _list(settings: Settings) -> list[GroupLine]:
    async with opened(settings, READONLY) as database:
        return await destinations.groups(database.claims)


async def _show(settings: Settings, domain: str) -> DomainLine:
    async with opened(settings, READONLY) as database:
        return await destinations.find(database.claims, domain)


async def _set(settings: Settings, domain: str, group: str, *, new: bool) -> DomainLine:
    async with opened(settings) as database:
        await destinations.put(database.claims, domain, group, new=new)
        return await destinations.find(database.claims, domain)


async def _unset(settings: Settings, domain: str) -> DomainLine:
    async with opened(settings) as database:
        await destinations.take_back(database.claims, domain)
        return await destinations.find(database.claims, domain)


def _checked(domain: str) -> str:
    """As the table has it. Raises ComposeError."""
    name = domain_of(domain)
    try:
        ascii_domain(name)
    except ComposeError as bad:
        raise ComposeError(f"{name!r}: {bad.message}", "Give a domain such as example.org") from None
    return name


def _tell(line: DomainLine, *, as_json: bool) -> None:
    if as_json:
        print_json(line)
    else:
        sentence = (
            f"Mails to {line.domain} that are inserted from now on are in group {line.destination_group or OTHERS}."
        )
        console().print(sentence, markup=False)


def _row(line: GroupLine) -> tuple[str, ...]:
    rate = f"{line.rate_tokens} in {line.rate_seconds:g} s" if line.rate_tokens else "-"
    source = line.source if line.source and (line.rate_tokens or line.connections) else "-"
    return line.name, escape(line.title), f"{line.domains:,}", str(line.connections or "-"), rate, escape(source)
