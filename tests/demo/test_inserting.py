"""Letters go in as an application's do; the database alone decides who gets one."""

from __future__ import annotations

import asyncpg
import pytest

from mailworkers.demo.inserting import Inserted, insert_letters
from mailworkers.demo.leads import Lead
from mailworkers.demo.letter import LetterTemplate
from mailworkers.errors import DatabaseError

GOOD = [Lead(f"lead{number}@büro.example", "Žofie") for number in range(250)]


async def insert(dsn: str, leads: list[Lead]) -> Inserted:
    into = Inserted()
    await insert_letters(dsn, leads, LetterTemplate(), into, lambda: None)
    return into


async def test_good_leads_become_jobs(database_url: str, app_connection: asyncpg.Connection) -> None:
    into = await insert(database_url, GOOD)

    assert into.accepted == GOOD
    assert into.refused == {}
    assert await app_connection.fetchval("SELECT count(*) FROM mailworkers.email_job_status") == len(GOOD)


async def test_bad_ones_are_refused_one_by_one_with_the_constraints_own_words(database_url: str) -> None:
    bad = [Lead("nobody"), Lead("two words@a.example"), Lead("a@b..example")]

    into = await insert(database_url, [GOOD[0], bad[0], GOOD[1], bad[1], bad[2], GOOD[2]])

    assert into.accepted == GOOD[:3]
    assert into.refused == {
        "nobody": "to_email must have one @, as in ann@example.org",
        "two words@a.example": "to_email must not contain blanks or control characters",
        "a@b..example": "to_email must have a valid domain after its @",
    }


async def test_a_row_that_looks_good_but_is_refused_takes_no_other_with_it(database_url: str) -> None:
    long_name = Lead("ann@a.example", "x" * 2000)

    into = await insert(database_url, [GOOD[0], long_name, GOOD[1]])

    assert into.accepted == GOOD[:2]
    assert set(into.refused) == {"ann@a.example"}


async def test_a_text_that_no_database_holds_is_refused_as_well(database_url: str) -> None:
    into = await insert(database_url, [Lead("ann@a.example", "An\x00n"), GOOD[0]])

    assert into.accepted == GOOD[:1]
    assert set(into.refused) == {"ann@a.example"}


async def test_a_database_that_cannot_be_used_ends_it(blank_database_url: str) -> None:
    with pytest.raises(DatabaseError):
        await insert(blank_database_url, GOOD[:1])
