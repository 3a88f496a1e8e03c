"""The shipped table, as migrations leave it, and what inserts make of it."""

from __future__ import annotations

from typing import Any

import pytest

from mailworkers.db.pool import Database
from mailworkers.destinations import table
from mailworkers.destinations.exchanges import Exchange
from mailworkers.destinations.table import UnknownGroup


async def test_each_figure_names_where_it_is_published(database: Database) -> None:
    for line in await table.groups(database.claims):
        assert line.source is not None or (line.rate_tokens, line.connections) == (None, None), line.name


async def test_every_domain_and_exchange_belongs_to_a_group_that_there_is(database: Database) -> None:
    groups = await table.groups(database.claims)

    assert sum(line.domains for line in groups) > 300
    async with database.claims.connection("reading") as connection:
        used = await connection.fetch(
            "SELECT destination_group FROM mailworkers.destination_domains "
            "UNION SELECT destination_group FROM mailworkers.destination_mx"
        )
    assert {row[0] for row in used} <= {line.name for line in groups}
    assert [line.name for line in groups if not line.domains and not line.exchanges] == []


@pytest.mark.parametrize(
    ("domain", "group"),
    [
        ("gmail.com", "google"),
        ("GoogleMail.com", "google"),
        ("hotmail.fr", "microsoft"),
        ("aol.com", "yahoo"),
        ("web.de", "united-internet"),
        ("t-online.de", "telekom"),
        ("wanadoo.fr", "orange"),
        ("firm.example", ""),
        ("sub.gmail.com", ""),
    ],
)
async def test_an_insert_finds_its_group(app_connection: Any, database: Database, domain: str, group: str) -> None:
    await app_connection.execute(
        "INSERT INTO mailworkers.email_jobs (to_email, subject, text_body) VALUES ($1, 'Hello', 'Hi')", f"ann@{domain}"
    )

    async with database.claims.connection("reading") as connection:
        assert await connection.fetchval("SELECT destination_group FROM mailworkers.email_jobs") == group


async def test_exchanges_of_well_known_hosts(database: Database) -> None:
    suffixes = await table.suffixes(database.claims)

    for host, group in {
        "firm-example.mail.protection.outlook.com": "microsoft365",
        "hotmail-com.olc.protection.outlook.com": "microsoft",
        "aspmx2.googlemail.com": "google",
        "smtp.google.com": "google",
        "mx-eu.mail.am0.yahoodns.net": "yahoo",
        "mx00.kundenserver.de": "ionos",
        "mx00.emig.gmx.net": "united-internet",
        "mail.protonmail.ch": "proton",
    }.items():
        assert suffixes.group_of([Exchange(10, host)]) == group


async def test_what_is_set_and_taken_back(database: Database) -> None:
    gateway = database.claims

    await table.put(gateway, "gmail.com", "yahoo", new=False)
    assert (await table.find(gateway, "gmail.com")).destination_group == "yahoo"
    assert await table.take_back(gateway, "gmail.com")
    assert not await table.take_back(gateway, "gmail.com")
    back = await table.find(gateway, "gmail.com")
    assert (back.destination_group, back.found, back.shipped) == ("google", "shipped", "google")

    with pytest.raises(UnknownGroup, match="our-server"):
        await table.put(gateway, "firm.example", "our-server", new=False)
    await table.put(gateway, "firm.example", "our-server", new=True)
    await table.put(gateway, "firm.example", "our-server", new=True)
    await table.put(gateway, "other.example", "", new=False)
    assert (await table.find(gateway, "firm.example")).destination_group == "our-server"
    assert await table.take_back(gateway, "firm.example")
    assert (await table.find(gateway, "firm.example")).found is None


async def test_what_was_learned_long_ago_is_forgotten(database: Database) -> None:
    gateway = database.claims
    await table.learn(gateway, {"old.example": "google", "new.example": "google"})
    await table.put(gateway, "set.example", "google", new=False)
    async with gateway.connection("making them old") as connection:
        await connection.execute(
            "UPDATE mailworkers.destination_domains SET checked_at = now() - interval '61 days' WHERE domain <> 'new.example'"
        )

    await gateway.execute("destinations/forget", 60.0, 1000)

    found = {
        domain: (await table.find(gateway, domain)).found
        for domain in ("old.example", "new.example", "set.example", "gmail.com")
    }
    assert found == {"old.example": None, "new.example": "mx", "set.example": "set", "gmail.com": "shipped"}
