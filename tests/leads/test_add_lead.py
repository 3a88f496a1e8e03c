"""`mailworkers.add_lead`: the way of applications, with the rights that they have."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from mailworkers.db.pool import Database
from mailworkers.leads import records

ADD = "SELECT mailworkers.add_lead($1)"


async def test_an_application_adds_leads_and_puts_them_on_lists(app_connection: Any, database: Database) -> None:
    first = await app_connection.fetchval(
        "SELECT mailworkers.add_lead(' Ann@A.Example ', 'Ann', '{\"city\": \"Bonn\"}', list => 'news')"
    )
    again = await app_connection.fetchval(
        "SELECT mailworkers.add_lead('Ann@a.example', data => '{\"plan\": \"pro\"}', list => 'news')"
    )
    kept = await app_connection.fetchval(
        "SELECT mailworkers.add_lead('Ann@a.example', 'X', '{\"plan\": \"free\"}', list => 'more', on_existing => 'keep')"
    )

    assert first == again == kept
    ann = await records.read_lead(database.claims, "Ann@a.example", "default")
    assert ann is not None
    assert (ann.name, ann.data, ann.lists) == ("Ann", {"city": "Bonn", "plan": "pro"}, ("more", "news"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("add_lead(NULL)", "one address"),
        ("add_lead('')", "one address"),
        ("add_lead('nobody')", "one address"),
        ("add_lead('a@b@c.example')", "one address"),
        ("add_lead('a b@c.example')", "plain before its @"),
        ("add_lead('a..b@c.example')", "plain before its @"),
        ("add_lead('a@büro.example')", "in ASCII"),
        ("add_lead('a@-b.example')", "valid domain"),
        ("add_lead('a@localhost')", "public domain"),
        ("add_lead('a@b.example', E'A\\nB')", "one line"),
        ("add_lead('a@b.example', data => '[]')", "JSON object"),
        ("add_lead('a@b.example', on_existing => 'replace')", "'update' or 'keep'"),
        ("add_lead('a@b.example', workspace_id => '')", "workspace_id"),
        ("add_lead('a@b.example', list => E'a\\nb')", "one line of 1 to 200"),
    ],
)
async def test_what_cannot_be_a_lead_is_refused_in_words(app_connection: Any, call: str, said: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=said):
        await app_connection.execute(f"SELECT mailworkers.{call}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM mailworkers.leads",
        "INSERT INTO mailworkers.leads (email) VALUES ('a@b.example')",
        "DELETE FROM mailworkers.lead_lists",
        "SELECT * FROM mailworkers.lead_imports",
    ],
)
async def test_an_application_sees_nobodys_leads(app_connection: Any, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_connection.execute(statement)


async def test_a_lead_by_sql_and_one_from_a_file_are_the_same(app_connection: Any, owner: Any) -> None:
    for written in ("INFO@a.example", "info@A.example", "\tinfo@a.example\r\n"):
        await app_connection.execute(ADD, written)
    assert [row["email"] for row in await owner.fetch("SELECT email FROM mailworkers.leads")] == ["info@a.example"]
