"""Unknown domains are learned from their MX records: a few at a time, once, and never where nobody answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest

from mailworkers.db.pool import Database
from mailworkers.destinations import lookup, table
from mailworkers.destinations.exchanges import Exchange, NotAnswered
from mailworkers.destinations.lookup import (
    AT_ONCE,
    FIRST_PAUSE_SECONDS,
    MOST_SEEN,
    MOST_WAITING,
    ROUND_DOMAINS,
    Lookup,
    domain_of,
)

GOOGLE = [Exchange(1, "aspmx.l.google.com")]


class Records:
    """Answers from a table; a domain that is not in it is not answered for."""

    def __init__(self, found: dict[str, list[Exchange]]) -> None:
        self.found = found
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def exchanges(self, domain: str) -> list[Exchange]:
        self.asked.append(domain)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if domain not in self.found:
            raise NotAnswered(domain)
        return self.found[domain]


class Told(list[str | None]):
    """What was told, in turn."""


def looking(database: Database, records: Records, told: Told | None = None) -> Lookup:
    return Lookup(database.claims, records, (Told() if told is None else told).append)


def at(*domains: str) -> Iterable[str]:
    return [f"ann@{domain}" for domain in domains]


async def group(database: Database, domain: str) -> tuple[str, str | None]:
    line = await table.find(database.claims, domain)
    return line.destination_group, line.found


async def test_a_domain_is_learned_once(database: Database) -> None:
    records = Records({"firm.example": GOOGLE, "own.example": [Exchange(1, "mx.own.example")], "none.example": []})
    looks = looking(database, records)

    looks.note(at("firm.example", "FIRM.example", "own.example", "none.example", "gmail.com"))
    await looks.step()
    looks.note(at("firm.example", "own.example", "none.example"))
    await looks.step()

    assert sorted(records.asked) == ["firm.example", "none.example", "own.example"], (
        "neither the shipped one, nor one twice"
    )
    assert await group(database, "firm.example") == ("google", "mx")
    assert await group(database, "own.example") == ("", "mx")
    assert await group(database, "none.example") == ("", "mx")
    assert await group(database, "gmail.com") == ("google", "shipped")


async def test_another_daemon_asks_again_only_after_some_days(database: Database) -> None:
    records = Records({"firm.example": GOOGLE, "old.example": GOOGLE})
    await table.learn(database.claims, {"firm.example": "", "old.example": ""})
    async with database.claims.connection("making it old") as connection:
        await connection.execute(
            "UPDATE mailworkers.destination_domains SET checked_at = now() - $1 * interval '1 day' WHERE domain = 'old.example'",
            lookup.RENEW_DAYS + 1,
        )
    looks = looking(database, records)

    looks.note(at("firm.example", "old.example"))
    await looks.step()

    assert records.asked == ["old.example"]
    assert await group(database, "old.example") == ("google", "mx")
    assert await group(database, "firm.example") == ("", "mx")


async def test_what_a_person_has_set_stays(database: Database) -> None:
    records = Records({"firm.example": GOOGLE})
    looks = looking(database, records)
    await table.put(database.claims, "firm.example", "yahoo", new=False)

    looks.note(at("firm.example"))
    await looks.step()
    await table.learn(database.claims, {"firm.example": "google", "gmail.com": "yahoo"})  # as if it were set meanwhile

    assert records.asked == []
    assert await group(database, "firm.example") == ("yahoo", "set")
    assert await group(database, "gmail.com") == ("google", "shipped")


async def test_a_round_is_bounded(database: Database) -> None:
    names = [f"firm{n}.example" for n in range(3 * ROUND_DOMAINS)]
    records = Records(dict.fromkeys(names, GOOGLE))
    looks = looking(database, records)

    looks.note(at(*names))
    await looks.step()

    assert len(records.asked) == ROUND_DOMAINS
    assert records.most_at_once <= AT_ONCE
    assert looks.waiting == 2 * ROUND_DOMAINS


async def test_what_is_remembered_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MOST_SEEN", 2 * ROUND_DOMAINS)
    looks = looking(database, Records({}))

    looks.note(at(*(f"firm{n}.example" for n in range(2 * MOST_WAITING))))
    assert looks.waiting == MOST_WAITING

    looks._remember([f"firm{n}.example" for n in range(3 * ROUND_DOMAINS)], time.monotonic())
    looks._forget(time.monotonic())
    assert len(looks._seen) == 2 * ROUND_DOMAINS < MOST_SEEN


async def test_where_nobody_answers_questions_become_rare(database: Database) -> None:
    """Given name servers that say nothing, when domains are written to, then one round asks, the next ones wait longer and
    longer, somebody is told; and the first answer ends that."""
    clock = [1000.0]
    records, told = Records({"well.example": GOOGLE}), Told()
    looks = Lookup(database.claims, records, told.append, lambda: clock[0])

    looks.note(at("a.example"))
    await looks.step()
    looks.note(at("b.example"))
    clock[0] += FIRST_PAUSE_SECONDS - 1
    await looks.step()
    assert records.asked == ["a.example"]
    clock[0] += 2
    await looks.step()
    assert records.asked == ["a.example", "b.example"]
    assert "2 domains" not in str(told[-1])
    assert "60 s" in str(told[-1])

    looks.note(at("well.example"))
    clock[0] += 2 * FIRST_PAUSE_SECONDS + 1
    await looks.step()
    assert told[-1] is None
    assert await group(database, "well.example") == ("google", "mx")
    assert await group(database, "a.example") == ("", None), "nothing is known of it, and nothing is written"
    assert looks.waiting == 0


async def test_a_domain_that_fails_alone_keeps_no_other_waiting(database: Database) -> None:
    records, told = Records({"well.example": GOOGLE}), Told()
    looks = looking(database, records, told)

    looks.note(at("broken.example", "well.example"))
    await looks.step()

    assert told == []
    assert await group(database, "well.example") == ("google", "mx")


async def test_names_that_dns_does_not_have_are_not_asked_for(database: Database) -> None:
    records = Records({})
    looks = looking(database, records)

    looks.note(
        [
            "ann@localhost",
            "",
            "ann@-.example",
            "ann@" + "a" * 64 + ".example",
            "ann@\udcff.example".encode("utf-8", "ignore").decode(),
        ]
    )
    await looks.step()

    assert records.asked == []
    assert looks.waiting == 0


async def test_an_international_domain_is_asked_for_by_its_ascii_name(database: Database) -> None:
    records = Records({"xn--bro-hoa.example": GOOGLE})
    looks = looking(database, records)

    looks.note(["ann@Büro.EXAMPLE"])
    await looks.step()

    assert await group(database, "büro.example") == ("google", "mx")


def test_a_domain_is_lowered_as_the_table_does_it() -> None:
    assert domain_of("Ann@Firm.EXAMPLE") == "firm.example"
    assert domain_of("firm.example") == "firm.example"
    assert domain_of("ann@BÜRO.example") == "bÜro.example"
