"""The README is true: its table is fresh, its links lead somewhere, and its code does what it says on a real database."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mailworkers.cli import settings_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
RENEW = "run: python -m mailworkers.cli.settings_table --write"
PLACEHOLDER = re.compile(r"%s|\$\d|\?")


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of one language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def inserts() -> list[str]:
    """Every INSERT that the README shows, whatever the language around it."""
    joined = re.sub(r'"\s*\n\s*"', "", README)  # Python's adjacent strings
    return re.findall(r"INSERT INTO mailworkers\.email_jobs \([a-z_, ]+\)\s+VALUES \([^)]*\)", joined)


def test_the_table_of_settings_is_fresh() -> None:
    assert settings_table.with_table(README) == README, RENEW


def test_the_two_commands_come_first_and_pin_what_they_install() -> None:
    demo, tests = blocks("sh")[:2]
    assert demo.rstrip().endswith("mailworkers demo")
    assert tests.rstrip().endswith("python -m pytest -n 4")
    for command in (demo, tests):
        installs = re.findall(r"pip install (.*?) &&", command)
        assert all("--require-hashes" in one or "--no-deps --no-build-isolation" in one for one in installs)


@pytest.mark.parametrize("command", blocks("sh"))
def test_shell_blocks_are_valid_shell(command: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_readme_shows_one_insert_for_each_client() -> None:
    assert len(inserts()) == 6


@pytest.mark.parametrize("statement", inserts())
async def test_each_insert_is_one_that_an_application_may_run(app_connection: Any, statement: str) -> None:
    """Given only the rights of mailworkers_app, when the statement runs with plain values, then it is accepted."""
    numbers = iter(range(1, 10))
    numbered = PLACEHOLDER.sub(lambda _: f"${next(numbers)}", statement)
    values = ["ann@example.org", "Order 1", "Thank you!", "order-1"] if "$1" in numbered else []

    assert await app_connection.execute(numbered, *values) == "INSERT 0 1"


async def test_the_status_query_runs_as_the_application(app_connection: Any) -> None:
    job_id = await app_connection.fetchval(f"{blocks('sql')[0].strip().rstrip(';')} RETURNING id")
    query = blocks("sql")[1].replace("4711", str(job_id))
    assert (await app_connection.fetchrow(query))["status"] == "waiting"


async def test_the_python_example_queues_an_orders_mail_once(database_url: str) -> None:
    """Given the README's own function, when one order is placed twice, then it is stored twice and mailed once."""
    example = next(block for block in blocks("python") if "asyncpg" in block)
    room: dict[str, Any] = {}
    exec(compile(ast.parse(example), "README.md", "exec"), room)
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=10)
    try:
        await connection.execute("CREATE TABLE orders (id integer)")
        for _ in range(2):
            await room["place_order"](connection, 7, "ann@example.org")

        assert await connection.fetchval("SELECT count(*) FROM orders") == 2
        assert await connection.fetchval("SELECT count(*) FROM mailworkers.email_jobs") == 1
    finally:
        await connection.close(timeout=10)


def test_every_python_example_is_valid_python() -> None:
    for example in blocks("python"):
        ast.parse(example)
