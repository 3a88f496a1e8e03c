"""The tables of destination groups and domains, as commands and the background look-up use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailworkers.db.pool import Gateway
from mailworkers.destinations.suffixes import EVERYTHING_ELSE, Suffixes
from mailworkers.errors import EX_DATAERR, MailworkersError


class UnknownGroup(MailworkersError):
    """There is no such destination group."""

    exit_code = EX_DATAERR


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One destination group. `rate_tokens` mails in `rate_seconds`; None where nothing is published."""

    name: str
    title: str
    rate_tokens: int | None
    rate_seconds: float | None
    connections: int | None
    source: str | None
    domains: int
    exchanges: list[str]


@dataclass(frozen=True, slots=True)
class DomainLine:
    """What is known of one domain. `found` is `shipped`, `set`, `mx`, or None where it has no row."""

    domain: str
    destination_group: str
    found: str | None
    shipped: str | None
    checked_at: datetime | None


async def groups(gateway: Gateway) -> list[GroupLine]:
    """All groups by name. Raises as `Gateway.fetch`."""
    return [GroupLine(*row) for row in await gateway.fetch("destinations/list")]


async def find(gateway: Gateway, domain: str) -> DomainLine:
    """What mails to a domain are grouped by. Raises as `Gateway.fetch`."""
    row = await gateway.fetchrow("destinations/show", domain)
    return DomainLine(domain, EVERYTHING_ELSE, None, None, None) if row is None else DomainLine(*row)


async def put(gateway: Gateway, domain: str, group: str, *, new: bool) -> None:
    """Set a domain's group, whatever was shipped or learned; mails inserted from now on get it.

    Args:
        gateway: where to write.
        domain: in lower case.
        group: a group's name; `EVERYTHING_ELSE` for none.
        new: make the group where there is none.

    Raises:
        UnknownGroup: there is none, and none shall be made.
        DatabaseUnavailable, DatabaseRefused: as `Gateway.fetch`.
    """
    if not await gateway.fetchval("destinations/set", domain, group, new):
        raise UnknownGroup(
            f'there is no destination group "{group}"',
            "`mailworkers destinations list` shows all; --new makes one of your own",
        )


async def take_back(gateway: Gateway, domain: str) -> bool:
    """Take back what was set or learned, so that what is shipped holds; whether there was anything. Raises as `Gateway.fetch`."""
    return bool(await gateway.fetchval("destinations/unset", domain))


async def unknown(gateway: Gateway, domains: Sequence[str], days: float) -> list[str]:
    """Which of these domains have no group yet, or one that was learned more than `days` ago. Raises as `Gateway.fetch`."""
    return [row[0] for row in await gateway.fetch("destinations/unknown", domains, days)]


async def suffixes(gateway: Gateway) -> Suffixes:
    """The providers' host names. Raises as `Gateway.fetch`."""
    return Suffixes({row[0]: row[1] for row in await gateway.fetch("destinations/suffixes")})


async def learn(gateway: Gateway, found: Mapping[str, str]) -> None:
    """Write down the groups found for domains; what is shipped or set stays. Raises as `Gateway.fetch`."""
    await gateway.execute("destinations/learn", list(found), list(found.values()))
