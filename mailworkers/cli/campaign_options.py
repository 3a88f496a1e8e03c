"""What the campaign commands are told, and how it becomes a plan or a change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mailworkers.campaigns.moments import moment
from mailworkers.campaigns.words import filter_of
from mailworkers.cli.files import json_object, read_object
from mailworkers.errors import CampaignError
from mailworkers.mail.addresses import parse_mailbox
from mailworkers.mail.headers import check_header_name
from mailworkers.mail.message import Address

Called = Annotated[
    str, typer.Argument(help="The campaign: its number, or its name in --workspace.", metavar="CAMPAIGN")
]
Name = Annotated[str, typer.Argument(help="What it is called: one line, its own in the workspace.")]
LeadArgument = Annotated[str, typer.Argument(help="The lead: its number or address.", metavar="LEAD")]
Workspace = Annotated[str, typer.Option("--workspace", "-w", help="Whose campaign it is.")]
AnyWorkspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Only this workspace's.")]
TemplateName = Annotated[
    str,
    typer.Option(
        "--template",
        help="The letter; name@3 is its version 3, else the newest at the start.",
        metavar="NAME[@VERSION]",
    ),
]
OtherTemplate = Annotated[
    str | None,
    typer.Option("--template", help="Another letter, or version of it.", metavar="NAME[@VERSION]", show_default=False),
]
ListName = Annotated[str | None, typer.Option("--list", help="Only leads on this list.", show_default=False)]
SegmentName = Annotated[
    str | None, typer.Option("--segment", help="Only leads of this saved filter.", show_default=False)
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only leads that fit: city=Bonn, plan=free|pro, city!=Bonn, age>=18, email~@example.org, phone, !phone. May be given again.",
        metavar="CONDITION",
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", help='The same as JSON: {"city": "Bonn", "age": {">=": 18}}', metavar="JSON", show_default=False
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="A JSON object in a file: variables that are the same for all leads.", show_default=False
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", help="The sender, as in 'The Letter <letter@example.org>'.", metavar="ADDRESS", show_default=False
    ),
]
ReplyTo = Annotated[
    str | None, typer.Option("--reply-to", help="Where answers go.", metavar="ADDRESS", show_default=False)
]
Header = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        help="A further header, as in List-Unsubscribe=<https://example.org/u>. May be given again.",
        metavar="NAME=VALUE",
    ),
]
Priority = Annotated[
    int | None,
    typer.Option(
        "--priority",
        help="Smaller goes first; single mails have 0, campaigns 10.",
        min=-100,
        max=100,
        show_default=False,
    ),
]
MaxRetries = Annotated[
    int | None,
    typer.Option("--max-retries", help="Attempts of a mail after its first: 3.", min=0, max=100, show_default=False),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="When it starts: '2026-12-01 09:00', here or with Europe/Berlin or +01:00.",
        metavar="MOMENT",
        show_default=False,
    ),
]
StartNow = Annotated[bool, typer.Option("--start", help="Start it at once.")]
Unset = Annotated[
    list[str] | None,
    typer.Option(
        "--unset",
        help="Take away: list, segment, filter, from, reply-to, headers. May be given again.",
        metavar="OPTION",
    ),
]
Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", help="Write all leads that would get no mail here, as CSV.", show_default=False),
]

# Means "at once" whatever the clocks of this machine and the database say of each other.
PAST = datetime(1970, 1, 1, tzinfo=UTC)

# What --unset calls the columns of a campaign.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "list": ("list",),
    "segment": ("segment",),
    "filter": ("filter",),
    "from": ("from_email", "from_name"),
    "reply-to": ("reply_to",),
    "headers": ("headers",),
}


def filter_given(words: list[str] | None, text: str | None) -> dict[str, Any] | None:
    """The filter that --where and --filter make together; None where neither is given.

    Raises:
        CampaignError, Unreadable: one of them is none.
    """
    made = filter_of(words or [])
    if text is None:
        return made or None
    written = json_object(text, "--filter")
    both = made.keys() & written.keys()
    if both:
        raise CampaignError(
            f"--where and --filter both speak of {', '.join(sorted(both))}", "Put it into --filter alone"
        )
    return {**written, **made}


def sender_given(text: str | None) -> Address:
    """The sender, or an empty address where none is given. Raises ComposeError where it is none."""
    return Address("") if text is None else parse_mailbox(text, "--from")


def headers_given(pairs: list[str] | None) -> dict[str, str] | None:
    """The further headers; None where none are given. Raises ComposeError where a mail may not have one of that name."""
    if not pairs:
        return None
    headers = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise typer.BadParameter(f"--header takes NAME=VALUE, as in List-Id=<letter.example.org>, not {pair!r}")
        check_header_name(name.strip())
        headers[name.strip()] = value.strip()
    return headers


def start_given(at: str | None, *, now: bool, instead: str) -> datetime | None:
    """When it is to start; None for a draft. Raises CampaignError where that is no moment to come; `instead` says what to do where it is over."""
    if at is not None and now:
        raise typer.BadParameter("give --at or --start, not both")
    if now:
        return PAST
    return None if at is None else moment(at, datetime.now().astimezone(), instead)


def changes_given(  # noqa: PLR0913 -- each is an option of one command
    *,
    name: str | None,
    template: str | None,
    list_name: str | None,
    segment: str | None,
    where: list[str] | None,
    filter_: str | None,
    data: Path | None,
    sender: str | None,
    reply_to: str | None,
    header: list[str] | None,
    priority: int | None,
    max_retries: int | None,
    at: str | None,
    unset: list[str] | None,
) -> dict[str, Any]:
    """What is to change, by column; None takes a value away."""
    changes: dict[str, Any] = {column: None for one in unset or () for column in _columns(one)}
    start = start_given(at, now=False, instead="Start it now with `mailworkers campaign start`")
    given = {
        "name": name,
        "template": template,
        "list": list_name,
        "segment": segment,
        "filter": filter_given(where, filter_),
        "data": None if data is None else read_object(data),
        "reply_to": reply_to,
        "headers": headers_given(header),
        "priority": priority,
        "max_retries": max_retries,
        "start_at": None if start is None else start.isoformat(),
    }
    changes |= {column: value for column, value in given.items() if value is not None}
    if sender is not None:
        address = sender_given(sender)
        changes |= {"from_email": address.email, "from_name": address.name or None}
    if not changes:
        raise typer.BadParameter("say what is to change, as in --template newsletter@4")
    return changes


def _columns(option: str) -> tuple[str, ...]:
    columns = _COLUMNS.get(option.removeprefix("--"))
    if columns is None:
        raise typer.BadParameter(f"--unset takes one of {', '.join(_COLUMNS)}, not {option!r}")
    return columns
